"""How far a sweep is: a row per method and scenario, from the files of the records alone, quick at 100,000 of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nica_bench.records.counting import outlines
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.sweep.clusters import Cluster
from nica_bench.sweep.job import read_begun
from nica_bench.sweep.journal import Array, Journal

__all__ = ["Line", "Overview", "overview"]


@dataclass
class Line:
    """One method on one scenario, in runs.

    Args:
        scenario, method: labels.
        total: of the last sweep.
        done: ok, or skipped with a reason.
        failed: those with a record that are not, by status.
        running: being computed, or in a job that runs and not finished.
        pending: in a job that waits.
    """

    scenario: str
    method: str
    total: int = 0
    done: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    running: int = 0
    pending: int = 0

    @property
    def missing(self) -> int:
        """Runs that no job is to make: the same command again takes them."""
        return self.total - self.done - sum(self.failed.values()) - self.running - self.pending


@dataclass(frozen=True)
class Overview:
    """A sweep at a moment.

    Args:
        lines: in the order of the sweep.
        seconds_left: of the jobs that were submitted, at the pace so far; None where it is not known.
        answered: whether the clusters say which jobs run.
        held: why jobs wait where it is not for their turn alone, as the cluster says it.
        submitter: who is watching, if anybody.
    """

    lines: list[Line]
    seconds_left: float | None
    answered: bool
    submitter: dict[str, Any] | None
    held: tuple[str, ...] = ()


def overview(store: Store, clusters: Iterable[Cluster]) -> Overview:
    """Look at the last sweep into a folder.

    Raises:
        UsageError: if there was none.
    """
    journal = Journal(store.folder)
    plan = journal.plan()
    arrays = journal.open_arrays()
    there = {outline.key: outline.status for outline in outlines(store)}
    seen = _Seen()
    for cluster in clusters:
        mine = [a for a in arrays if a.cluster == cluster.name and a.number is not None]
        if mine:
            _look(cluster, mine, journal, there, seen)
    lines = [_line(entry["scenario"], entry["method"], entry["keys"], there, seen) for entry in plan["cells"]]
    left = None
    if seen.done and seen.left and (seen.running or seen.pending):
        begun = min(a.created for a in arrays)
        left = (time.time() - begun) / seen.done * seen.left
    return Overview(lines, left, seen.answered, journal.submitter(), tuple(sorted(seen.held)))


@dataclass
class _Seen:
    """What the clusters and the notes of jobs say of the runs without a record.

    Args:
        running, pending: keys of runs that are being computed, and of those whose turn comes.
        done, left: runs of open arrays with a record of theirs, and without one.
        held, answered: as of `Overview`.
    """

    running: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    done: int = 0
    left: int = 0
    held: set[str] = field(default_factory=set)
    answered: bool = True


def _look(
    cluster: Cluster, arrays: Sequence[Array], journal: Journal, there: Mapping[str, Status], seen: _Seen
) -> None:
    """Ask a cluster about the jobs of its arrays, and add what is known of their runs."""
    wanted = {(a.name, i) for a in arrays for i in range(len(a.jobs))}
    jobs = cluster.look(arrays, wanted, journal.folder / "arrays")
    seen.answered = seen.answered and jobs is not None
    for array in arrays:
        for i, job in enumerate(array.jobs):
            keys = [run.key for run in job if run.key not in there or run.key in array.stale]
            seen.done, seen.left = seen.done + len(job) - len(keys), seen.left + len(keys)
            look = jobs.get((array.name, i)) if jobs is not None else None
            if not keys or (look is not None and look.state == "ended"):
                continue
            if look is not None and look.why:
                seen.held.add(look.why)
            missing = {key for key in keys if key not in there}
            waits = look is not None and look.state != "running"
            begun = set() if waits else missing & read_begun(journal.array_folder(array.name), i)
            seen.running |= begun
            seen.pending |= missing - begun


def _line(scenario: str, method: str, keys: Sequence[str], there: Mapping[str, Status], seen: _Seen) -> Line:
    """Count the runs of a method on a scenario."""
    line = Line(scenario, method, len(keys))
    for key in keys:
        status = there.get(key)
        if status in (Status.OK, Status.SKIPPED):
            line.done += 1
        elif status is not None:
            line.failed[status.value] = line.failed.get(status.value, 0) + 1
        elif key in seen.running:
            line.running += 1
        elif key in seen.pending:
            line.pending += 1
    return line
