"""How far a sweep is: a row a method and scenario, from the records' files alone, quick at 100,000 of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nica_bench.records.counting import outlines
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.sweep.clusters import Cluster
from nica_bench.sweep.job import read_begun
from nica_bench.sweep.journal import Journal

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
    there = {outline.key: outline.status.value for outline in outlines(store)}
    work: dict[str, str] = {}
    held: set[str] = set()
    answered = True
    done = left = 0
    for cluster in clusters:
        mine = [a for a in arrays if a.cluster == cluster.name and a.number is not None]
        if not mine:
            continue
        wanted = {(a.name, i) for a in mine for i in range(len(a.jobs))}
        jobs = cluster.look(mine, wanted, journal.folder / "arrays")
        answered = answered and jobs is not None
        for array in mine:
            for i, job in enumerate(array.jobs):
                open_ = [c.key for c in job if c.key not in there or c.key in array.stale]
                done, left = done + len(job) - len(open_), left + len(open_)
                look = jobs.get((array.name, i)) if jobs is not None else None
                if (look is not None and look.state == "ended") or not open_:
                    continue
                held.update({look.why if look is not None else ""} - {""})
                begun = read_begun(journal.array_folder(array.name), i)
                for key in open_:
                    if key not in there:
                        runs = key in begun and (look is None or look.state == "running")
                        work[key] = "running" if runs else "pending"
    lines = []
    for entry in plan["cells"]:
        line = Line(entry["scenario"], entry["method"], len(entry["keys"]))
        lines.append(line)
        for key in entry["keys"]:
            status = there.get(key)
            if status in (Status.OK.value, Status.SKIPPED.value):
                line.done += 1
            elif status is not None:
                line.failed[status] = line.failed.get(status, 0) + 1
            elif work.get(key) == "running":
                line.running += 1
            elif key in work:
                line.pending += 1
    begun_at = min((a.created for a in arrays), default=time.time())
    eta = (time.time() - begun_at) / done * left if done and left and work else None
    return Overview(lines, eta, answered, journal.submitter(), tuple(sorted(held)))
