"""What a folder of records knows of its sweeps: `<out>/sweep/`.

`arrays/<name>/array.json` says what an array of jobs computes and, once it is submitted, its number; submitit's own
files lie beside it. The intention is on the disk before anything is submitted, under a name that nobody else uses, so
that a process which was killed in between finds the array in Slurm by that name and submits nothing twice. `plan.json`
says which runs the last sweep asked for. `submitter.json` says who is at work.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.files.atomic import locked, reason, write_whole
from nica_bench.running.plan import Run
from nica_bench.running.resources import Resources
from nica_bench.sweep.job import CellText

__all__ = ["Array", "Journal"]

STALE_SECONDS = 900.0
"""Without a sign of life for so long a submitter on another machine is taken to be gone."""


@dataclass(frozen=True)
class Array:
    """Jobs that were submitted together.

    Args:
        name: nobody else's, and the name of its jobs in Slurm.
        cluster: slurm, local or debug.
        jobs: the runs of each job.
        resources: of each job.
        stale: `made_at` of records to be replaced, by key.
        number: in Slurm, or of the process; None: it is not known whether it was submitted.
        born: when that process began, seconds since 1970.
        host, user, created: who made it and when.
        largest, attempt: as in `Batch`.
        manner: how its runs are computed, see `Manner`.
        closed: all its jobs have ended and their records are there.
    """

    name: str
    cluster: str
    jobs: tuple[tuple[CellText, ...], ...]
    resources: Resources
    stale: Mapping[str, str] = field(default_factory=dict)
    number: str | None = None
    born: float | None = None
    host: str = field(default_factory=platform.node)
    user: str = field(default_factory=getpass.getuser)
    created: float = field(default_factory=time.time)
    largest: int | None = None
    attempt: int = 0
    manner: Mapping[str, Any] = field(default_factory=dict)
    closed: bool = False

    def job_id(self, index: int) -> str:
        """Slurm's id of a job: submitit makes no array of a single one."""
        return f"{self.number}_{index}" if len(self.jobs) > 1 else str(self.number)

    @staticmethod
    def new_name() -> str:
        """A name that nobody else uses."""
        return f"nica-{secrets.token_hex(6)}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values; the texts of scenarios and methods are given once."""
        scenarios = list(dict.fromkeys(c.scenario for job in self.jobs for c in job))
        methods = list(dict.fromkeys(c.method for job in self.jobs for c in job))
        s, m = ({text: i for i, text in enumerate(texts)} for texts in (scenarios, methods))
        jobs = [[[s[c.scenario], m[c.method], c.seed, c.training_seed, c.key] for c in job] for job in self.jobs]
        rest = {k: v for k, v in asdict(replace(self, jobs=())).items() if k != "jobs"}
        return {"format": 1, **rest, "scenarios": scenarios, "methods": methods, "jobs": jobs}

    @classmethod
    def from_json(cls, value: Any) -> Array:
        """The inverse of `to_json`; ValueError, KeyError, TypeError or IndexError where it is none."""
        if value["format"] != 1:
            raise ValueError(f"it has format {value['format']}: update nica-bench")
        scenarios, methods = value["scenarios"], value["methods"]
        jobs = tuple(
            tuple(
                CellText(scenarios[s], methods[m], seed, training_seed, key) for s, m, seed, training_seed, key in job
            )
            for job in value["jobs"]
        )
        resources = Resources(**{**value["resources"], "extra": tuple(value["resources"]["extra"])})
        rest = {k: v for k, v in value.items() if k not in ("format", "scenarios", "methods", "jobs", "resources")}
        return cls(jobs=jobs, resources=resources, **rest)


@dataclass(frozen=True)
class Journal:
    """The sweeps of a folder.

    Args:
        out: folder of the records.
    """

    out: Path

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self.out / "sweep"

    def array_folder(self, name: str) -> Path:
        """Where an array's files lie, submitit's too."""
        return self.folder / "arrays" / name

    def write(self, array: Array) -> Array:
        """Put an array on the disk, in place of what is there of it; returns it.

        Raises:
            NicaBenchError: if that is not possible.
        """
        folder = self.array_folder(array.name)
        self._write(folder / "array.json", array.to_json())
        return array

    def forget(self, array: Array) -> None:
        """Take away an array that was never submitted."""
        (self.array_folder(array.name) / "array.json").unlink(missing_ok=True)

    def arrays(self) -> list[Array]:
        """All arrays, oldest first.

        Raises:
            NicaBenchError: if one cannot be read.
        """
        found = []
        for path in (self.folder / "arrays").glob("*/array.json"):
            try:
                found.append(Array.from_json(json.loads(path.read_bytes())))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
                raise NicaBenchError(f"{path} cannot be read: {reason(error)}; move it away to forget it") from error
        return sorted(found, key=lambda a: (a.created, a.name))

    def open_arrays(self) -> list[Array]:
        """Those whose jobs may not have ended."""
        return [a for a in self.arrays() if not a.closed]

    def write_plan(self, runs: Iterable[Run], command: Sequence[str]) -> None:
        """Note which runs are asked for. Raises NicaBenchError."""
        groups: dict[tuple[str, str], list[str]] = {}
        for run in runs:
            groups.setdefault((run.scenario.label, run.method.label), []).append(run.spec.key)
        entries = [{"scenario": s, "method": m, "keys": keys} for (s, m), keys in groups.items()]
        plan = {"format": 1, "command": list(command), "begun": time.time(), "cells": entries}
        self._write(self.folder / "plan.json", plan)

    def plan(self) -> dict[str, Any]:
        """What the last sweep asked for: 'begun', and 'runs', each with 'scenario', 'method' and 'keys'.

        Raises:
            UsageError: if there was none here.
        """
        path = self.folder / "plan.json"
        try:
            value = json.loads(path.read_bytes())
            assert isinstance(value["cells"], list)
        except FileNotFoundError:
            raise UsageError(f"no sweep was made into {self.out}: name its folder with --out") from None
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
            raise UsageError(f"{path} cannot be read: {reason(error)}") from error
        assert isinstance(value, dict)
        return value

    @contextlib.contextmanager
    def submitting(self) -> Iterator[None]:
        """Be the only one who submits into this folder and gathers from it.

        Raises:
            UsageError: if another is at work; says who.
            NicaBenchError: if the folder can't be written to.
        """
        mine = {"host": platform.node(), "pid": os.getpid(), "born": psutil.Process().create_time()}
        path = self.folder / "submitter.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder):
                other = self.submitter()
                if other is not None:
                    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(other["since"]))
                    raise UsageError(
                        f"{other['user']} is sweeping into {self.out} already (process {other['pid']} on "
                        f"{other['host']}, since {since}): `nica-bench status` shows how far it is; "
                        "wait for it, or choose another folder with --out"
                    )
                self._write(path, {**mine, "user": getpass.getuser(), "since": time.time()})
        except OSError as error:
            raise NicaBenchError(f"{self.folder} cannot be written to: {reason(error)}") from error
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def alive(self) -> None:
        """Give a sign of life to those who would submit too."""
        with contextlib.suppress(OSError):
            os.utime(self.folder / "submitter.json")

    def submitter(self) -> dict[str, Any] | None:
        """Who is at work in this folder, if anybody."""
        path = self.folder / "submitter.json"
        try:
            other = json.loads(path.read_bytes())
            age = time.time() - path.stat().st_mtime
            if other["host"] != platform.node():
                return other if age < STALE_SECONDS else None
            process = psutil.Process(other["pid"])
            same = abs(process.create_time() - other["born"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
            return other if same else None
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            return None

    def _write(self, path: Path, value: Any) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(value, separators=(",", ":")).encode())
        except OSError as error:
            raise NicaBenchError(f"{path} cannot be written: {reason(error)}") from error
