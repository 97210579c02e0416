"""What a job does: it makes its runs from texts, computes those that are not there yet and writes each itself."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nica_bench.errors import NicaBenchError
from nica_bench.files.atomic import write_whole
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.registry import make_method, make_scenario
from nica_bench.running.plan import Group, Run
from nica_bench.running.reporter import Reporter
from nica_bench.running.work import Setting, failed_record
from nica_bench.sweep.packing import family_of

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

    from nica_bench.running.pool import Crew

__all__ = ["CellText", "SweepJob", "begun_file", "is_fresh", "made_at", "read_begun"]


@dataclass(frozen=True)
class CellText:
    """A run as texts and numbers, from which any process makes it again.

    Args:
        scenario, method: as `make_scenario` and `make_method` take them.
        seed, init: its seeds.
        key: the key it has where the job was made.
    """

    scenario: str
    method: str
    seed: int
    training_seed: int
    key: str

    def make(self) -> Run:
        """The run.

        Raises:
            NicaBenchError: if it has another key here: the code is another than where the job was made.
        """
        run = Run(make_scenario(self.scenario), make_method(self.method), self.seed, self.training_seed)
        if run.spec.key != self.key:
            raise NicaBenchError(
                f"{self.method} on {self.scenario} is another run here ({run.spec.short}) than where "
                f"the job was made ({self.key[:12]}): the code or a method's file was changed since; sweep again"
            )
        return run


def made_at(record: Record) -> str:
    """When a record was made: what tells one record of a run from an earlier one."""
    return str(record.provenance.get("ended"))


def is_fresh(record: Record, stale: Mapping[str, str]) -> bool:
    """Whether a record is newer than the one that was there when its job was made.

    Args:
        record: that is there now.
        stale: `made_at` of the records that were there then and are to be replaced, by key.
    """
    return made_at(record) != stale.get(record.key)


def begun_file(folder: Path, index: int) -> Path:
    """Where a job notes the groups of runs that it is working on, and those that were cut off and wait their turn."""
    return folder / f"{index}_begun.json"


def read_begun(folder: Path, index: int) -> set[str]:
    """Keys of the runs that a job was working on when it wrote last; none where it wrote nothing."""
    return {key for keys in _read_groups(folder, index, "working") for key in keys}


def _read_groups(folder: Path, index: int, *kinds: str) -> list[list[str]]:
    """Groups of keys that a job noted as `working` or `waiting`."""
    try:
        found: dict[str, list[list[str]]] = json.loads(begun_file(folder, index).read_bytes())
        return [list(keys) for kind in kinds for keys in found[kind]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


class _Notes(Reporter):
    """Notes on the disk which runs are being worked on, for whoever asks why a job's records are missing.

    Args:
        file: the notes.
        waiting: groups that were cut off. Their checkpoints are those of all their runs together, so that they are
            noted until each has begun: the job may be stopped again before.
    """

    def __init__(self, file: Path, waiting: Sequence[Sequence[str]] = ()) -> None:
        self.working: dict[Group, list[str]] = {}
        self._waiting = [list(keys) for keys in waiting]
        self._file = file

    @property
    def keys(self) -> set[str]:
        return {key for keys in self.working.values() for key in keys}

    def begun(self, group: Group) -> None:
        keys = self.working[group] = [c.spec.key for c in group.runs]
        self._waiting = [others for others in self._waiting if others != keys]
        self._write()

    def ended(self, group: Group) -> None:
        self.working.pop(group, None)
        self._write()

    def _write(self) -> None:
        # On a full disk the records say what is wrong.
        with contextlib.suppress(OSError):
            groups = {"working": list(self.working.values()), "waiting": self._waiting}
            write_whole(self._file, json.dumps(groups).encode())


@dataclass
class SweepJob:
    """What submitit runs. Queued again for whatever reason, it goes on with the runs that are not finished.

    Args:
        folder: of the array.
        index: of the job in it.
        runs: to be computed.
        stale: `made_at` of their records that are to be replaced, by key.
        setting: as of a run.
        modules: files of methods and scenarios that workers load.
        workers: processes, where there is no accelerator.
        sharing: groups that share an accelerator.
        timeout: most seconds a run.
        largest: most runs that train at once.
        inline: in this process, for debugging.
        devices: what CUDA_VISIBLE_DEVICES is where the job was made; submitit's local jobs would see no device.
    """

    folder: str
    index: int
    runs: tuple[CellText, ...]
    stale: Mapping[str, str]
    setting: Setting
    modules: tuple[str, ...] = ()
    workers: int = 1
    sharing: int = 1
    timeout: float | None = None
    largest: int | None = None
    inline: bool = False
    devices: str | None = None

    def __post_init__(self) -> None:
        self._notes: _Notes | None = None
        self._crew: Crew | None = None

    def __call__(self) -> str:
        """Compute what is missing; a line on what was done."""
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
            if self.devices is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = self.devices
        store = Store.open(self.setting.out)
        left = self._left(store)
        if left:
            noted = _read_groups(Path(self.folder), self.index, "working", "waiting")
            cut_off = self._resumable(store, left, noted)
            self._notes = _Notes(begun_file(Path(self.folder), self.index), cut_off)
            self._compute([text.make() for text in left], self._notes, cut_off)
        return f"{len(left)} of {len(self.runs)} runs computed"

    def checkpoint(self) -> DelayedSubmission:
        """What is to be submitted in place of this job when it is stopped: the same, for its records are on the disk.

        The fits that run get some seconds to save their states, from which they go on in the next job. What it was
        working on comes last then: a run that takes longer than the job may run keeps no other back.
        """
        from submitit.helpers import DelayedSubmission

        if self._crew is not None:
            self._crew.interrupt()
        working = self._notes.keys if self._notes is not None else set()
        last = sorted(self.runs, key=lambda run: run.key in working)
        return DelayedSubmission(replace(self, runs=tuple(last)))

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_notes": None, "_crew": None}

    def _left(self, store: Store) -> Sequence[CellText]:
        """The runs without a record of this job; one that was killed is done again."""
        there = store.scan(run.key for run in self.runs).records
        done = {k for k, r in there.items() if r.status is not Status.KILLED and is_fresh(r, self.stale)}
        return [run for run in self.runs if run.key not in done]

    def _resumable(self, store: Store, left: Sequence[CellText], groups: Sequence[Sequence[str]]) -> list[list[str]]:
        """Groups that were cut off and have left a checkpoint, which is that of all their runs together."""
        keys = {run.key for run in left}
        return [list(g) for g in groups if keys.issuperset(g) and store.checkpoint(g).exists()]

    def _compute(self, runs: Sequence[Run], notes: _Notes, cut_off: Sequence[Sequence[str]]) -> None:
        from nica_bench.running.pool import Crew
        from nica_bench.running.runner import compute

        if self.inline:
            self._inline(runs)
            return
        self._crew = Crew()
        by_key = {run.spec.key: run for run in runs} if cut_off else {}
        compute(
            runs,
            self.setting,
            jobs=self.workers,
            timeout=self.timeout,
            modules=self.modules,
            reporter=notes,
            # runs that don't train together are given out one by one, so that it is known which was begun
            family=lambda run: family_of(run) if run.method.replicated else run,
            largest=self.largest,
            sharing=self.sharing,
            together=[[by_key[key] for key in keys] for keys in cut_off],
            crew=self._crew,
        )

    def _inline(self, runs: Sequence[Run]) -> None:
        from nica_bench.running.plan import grouped
        from nica_bench.running.work import run_group
        from nica_bench.training.device import resolve_device

        setting = replace(self.setting, device=resolve_device(self.setting.device))
        for group in grouped(runs, 1, float("inf"), family_of, self.largest):
            try:
                run_group(group, setting, lambda kind, value: None)
            except SystemExit as error:
                self._leaves(group, setting, error)

    def _leaves(self, group: Group, setting: Setting, error: SystemExit) -> None:
        """Rows for runs whose method would have ended this process."""
        store = Store.open(setting.out)
        left = {text.key for text in self._left(store)}
        for run in group.runs:
            if run.spec.key in left:
                message = f"the method ended its process: exit code {error.code or 0}"
                store.write(failed_record(run, Status.KILLED, message, setting, time.time()))
