"""The resources that jobs request from Slurm, and the number of runs per job."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from nica_bench.errors import UsageError
from nica_bench.files.toml import FileTable

__all__ = ["Resources", "parse_memory", "parse_time"]

_UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def parse_time(text: str) -> int:
    """Return minutes from Slurm notation: `90`, `90:00`, `1:30:00`, `2-12` or `2-12:00:00`; seconds are rounded up.

    Raises:
        UsageError: if the text has another form, or is zero.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d\d?))?(?::(\d\d?))?", text.strip())
    if match:
        days, *rest = (None if part is None else int(part) for part in match.groups())
        if days is not None or rest[2] is not None:  # days-hours[:minutes[:seconds]]
            hours, minutes, seconds = (part or 0 for part in rest)
        else:  # minutes[:seconds]
            hours, minutes, seconds = 0, rest[0] or 0, rest[1] or 0
        total = ((days or 0) * 24 + hours) * 60 + minutes + (seconds > 0)
        if total > 0:
            return total
    raise UsageError(
        f"a time is written as minutes, hours:minutes:seconds or days-hours, and is not zero; got '{text}'"
    )


def parse_memory(text: str) -> int:
    """Return megabytes from a memory in the notation of Slurm: `4G`, `500M`, or a number of megabytes.

    Raises:
        UsageError: if the text has another form, or is less than one megabyte.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    megabytes = int(float(match[1]) * _UNITS[match[2] or "M"]) if match else 0
    if megabytes < 1:
        raise UsageError(f"a memory is written like 4G or 500M, got '{text}'")
    return megabytes


@dataclass(frozen=True)
class Resources:
    """The resources of one job.

    Args:
        partition: the partition; None: the default of Slurm.
        time: the time limit of a job in minutes, after which it is requeued.
        memory: the memory of a job in megabytes; None: the default of Slurm.
        cpus: the number of cores, and of workers without an accelerator.
        gpus: the number of accelerators.
        array_limit: the largest number of jobs of an array that run at the same time.
        constraint, account, qos: the options of sbatch.
        extra: further lines of the sbatch script: `#SBATCH --key=value`, or shell commands such as `module load`.
        runs_per_job: the largest number of runs in one job.
        minutes_per_job: the largest work of one job in minutes, if records tell the duration of a run.
        groups_per_gpu: the number of groups of replicates that share an accelerator.
        requeues: how many times a job may reach its time limit and resume.
        oom_retries: how many times runs that were out of memory are repeated, with half the group and twice the memory.
    """

    partition: str | None = None
    time: int = 60
    memory: int | None = None
    cpus: int = 1
    gpus: int = 0
    array_limit: int = 100
    constraint: str | None = None
    account: str | None = None
    qos: str | None = None
    extra: tuple[str, ...] = ()
    runs_per_job: int = 32
    minutes_per_job: float = 30.0
    groups_per_gpu: int = 1
    requeues: int = 5
    oom_retries: int = 0

    @classmethod
    def keys(cls) -> list[str]:
        """Return the names of all settings."""
        return [f.name for f in dataclasses.fields(cls)]

    def with_table(self, table: FileTable | None, elsewhere: Mapping[str, str]) -> Self:
        """Return the resources with the values of a table of a file.

        Args:
            table: the table; None: no changes.
            elsewhere: the places of other keys of the file, by key.

        Raises:
            UsageError: if a value is wrong, with its line.
        """
        if table is None:
            return self
        table.only(self.keys(), elsewhere)
        found: dict[str, Any] = {}
        for key, parse, expected in (
            ("time", parse_time, "a text such as '2:00:00', or a whole number of minutes"),
            ("memory", parse_memory, "a text such as '4G', or a whole number of megabytes"),
        ):
            if key in table:
                value = table.values[key]
                if isinstance(value, bool) or not isinstance(value, (int, str)):
                    raise table.wrong(key, expected)
                found[key] = table.made(key, parse, str(value))
        for key in ("partition", "constraint", "account", "qos"):
            found[key] = table.text(key)
        for key in ("cpus", "array_limit", "runs_per_job", "groups_per_gpu"):
            found[key] = table.whole(key, 1)
        for key in ("gpus", "requeues", "oom_retries"):
            found[key] = table.whole(key)
        found["minutes_per_job"] = table.number("minutes_per_job", 0.01)
        found["extra"] = tuple(table.texts("extra")) or None
        return self.with_values(found)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Return the resources with those values that are not None."""
        return dataclasses.replace(self, **{key: value for key, value in values.items() if value is not None})

    def larger(self) -> Self:
        """Return the resources of runs that were out of memory."""
        return dataclasses.replace(self, memory=None if self.memory is None else 2 * self.memory)

    def sbatch(self, name: str) -> dict[str, Any]:
        """Return the parameters of `submitit.SlurmExecutor`.

        Args:
            name: the name of the job, by which Slurm identifies it.
        """
        flags, shell = {}, []
        for line in self.extra:
            if match := re.fullmatch(r"(?:#SBATCH\s+)?--([\w-]+)(?:[= ]\s*(.*))?", line.strip()):
                flags[match[1]] = match[2] if match[2] is not None else True
            else:
                shell.append(line)
        given = {
            "job_name": name,
            "partition": self.partition,
            "time": self.time,
            "mem": None if self.memory is None else f"{self.memory}M",
            "cpus_per_task": self.cpus,
            "gpus_per_node": self.gpus or None,
            "array_parallelism": self.array_limit,
            "constraint": self.constraint,
            "account": self.account,
            "qos": self.qos,
            "signal_delay_s": min(90, 15 * self.time),  # the time in which a job can save its state
            "additional_parameters": {"requeue": True, **flags},
            # sbatch reads its lines up to the first command
            "setup": sorted(shell, key=lambda line: not line.lstrip().startswith("#SBATCH")) or None,
        }
        return {key: value for key, value in given.items() if value is not None}
