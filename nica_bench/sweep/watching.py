"""Watching the jobs of a folder: what is finished is on the disk; what a dead job left gets a row that says why."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nica_bench.errors import NicaBenchError
from nica_bench.records.folder import list_runs
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.running.work import Setting, failed_record
from nica_bench.sweep.clusters import Cluster, Jobs, Look
from nica_bench.sweep.job import CellText, begun_file, is_fresh, read_begun
from nica_bench.sweep.journal import Array, Journal

__all__ = ["Tally", "Watch", "halved"]

_LOOKS = 2
"""Looks in a row that have to find a job ended before its missing records are given up: files may come late."""


@dataclass(frozen=True)
class Tally:
    """How far the open arrays are, in runs of theirs.

    Args:
        total, done, failed: runs in all, with a record, and with one that is neither ok nor skipped.
        running, pending: jobs.
        answered: the clusters say so; False: one of them does not answer.
        held: why jobs wait where it is not for their turn alone, as the cluster says it.
    """

    total: int
    done: int
    failed: int
    running: int
    pending: int
    answered: bool = True
    held: tuple[str, ...] = ()


@dataclass
class _Open:
    """An array that is watched.

    Args:
        array: it.
        missing: keys without a record, by job.
        ended: how many looks in a row found a job ended.
        records: that came, by key.
        seen: time of change of records that are to be replaced.
    """

    array: Array
    missing: list[dict[str, CellText]]
    ended: dict[int, int] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)


class Watch:
    """The open arrays of a folder.

    Args:
        store: of the records.
        journal: of the arrays.
        clusters: by name.
        say: takes a line for people.
    """

    def __init__(
        self, store: Store, journal: Journal, clusters: Mapping[str, Cluster], say: Callable[[str], None]
    ) -> None:
        self._store, self._journal, self._clusters, self._say = store, journal, clusters, say
        self._open: dict[str, _Open] = {}
        self._silent: set[str] = set()
        self.finished: list[Array] = []
        """Arrays that ended since this was emptied last, not yet closed in the journal."""

    def add(self, array: Array) -> None:
        """Watch an array whose number is known."""
        missing = [{run.key: run for run in job} for job in array.jobs]
        self._open[array.name] = _Open(array, missing)

    @property
    def arrays(self) -> list[Array]:
        """Those that are watched."""
        return [o.array for o in self._open.values()]

    @property
    def keys(self) -> set[str]:
        """Runs that jobs are to make and have not made."""
        return {key for o in self._open.values() for job in o.missing for key in job}

    def records(self, array: Array) -> dict[str, Record]:
        """The records that an array has made so far."""
        return self._open[array.name].records

    def close(self, array: Array) -> None:
        """Note that an array has ended and everything of it is done."""
        self._journal.write(replace(array, closed=True))
        del self._open[array.name]

    def look(self) -> Tally:
        """Read what is new, ask the clusters about jobs that lack records, and give up those that have ended.

        Raises:
            NicaBenchError: if a record can't be written, or the folder can't be read.
        """
        self._journal.alive()
        self._read()
        counts = {"running": 0, "pending": 0}
        held: set[str] = set()
        answered = True
        for name, cluster in self._clusters.items():
            mine = [o for o in self._open.values() if o.array.cluster == name]
            wanted = {(o.array.name, i) for o in mine for i, missing in enumerate(o.missing) if missing}
            if not wanted:
                continue
            arrays = [o.array for o in mine if any(o.missing)]
            jobs = cluster.look(arrays, wanted, self._journal.folder / "arrays")
            self._tell(name, jobs)
            if jobs is None:
                answered = False
                continue
            for o in mine:
                self._judge(o, jobs, counts, held)
        known = {a.name for a in self.finished}
        self.finished += [o.array for o in self._open.values() if not any(o.missing) and o.array.name not in known]
        total = sum(len(job) for o in self._open.values() for job in o.array.jobs)
        records = [r for o in self._open.values() for r in o.records.values()]
        failed = sum(r.status not in (Status.OK, Status.SKIPPED) for r in records)
        done = total - len(self.keys)
        return Tally(total, done, failed, counts["running"], counts["pending"], answered, tuple(sorted(held)))

    def _tell(self, name: str, jobs: Jobs | None) -> None:
        if jobs is None and name not in self._silent:
            self._silent.add(name)
            self._say(f"{name} does not answer: its jobs may go on, and this waits for it")
        elif jobs is not None and name in self._silent:
            self._silent.discard(name)
            self._say(f"{name} answers again")

    def _judge(self, o: _Open, jobs: Jobs, counts: dict[str, int], held: set[str]) -> None:
        for i, missing in enumerate(o.missing):
            look = jobs.get((o.array.name, i))
            if not missing or look is None:
                continue
            if look.state != "ended":
                counts[look.state] += 1
                held.update({look.why} - {""})
                o.ended[i] = 0
                continue
            o.ended[i] = o.ended.get(i, 0) + 1
            if o.ended[i] >= _LOOKS:
                self._give_up(o, i, look)

    def _give_up(self, o: _Open, index: int, look: Look) -> None:
        """A row for each run that an ended job left behind."""
        # a shared disk may list files late; asked for by name they are there
        self._take(o, o.missing[index], list(o.missing[index]))
        folder = self._journal.array_folder(o.array.name)
        begun = read_begun(folder, index)
        # what does not fit before anything was begun will not fit the next time either
        too_small = look.status is Status.OOM and not begun_file(folder, index).exists()
        setting = Setting(str(self._store.folder), "cpu", False, tuple(sys.argv))
        lost: dict[tuple[str, str], list[str]] = {}
        for key, text in list(o.missing[index].items()):
            status, why = look.status, look.why
            if key not in begun:
                status, why = Status.OOM if too_small else Status.KILLED, f"not begun: {look.why}"
            try:
                run = text.make()
            except NicaBenchError as error:
                lost.setdefault((text.method, text.scenario), []).append(
                    why if str(error) in why else f"{why}; {error}"
                )
            else:
                record = failed_record(run, status, why, setting, time.time())
                o.records[key] = self._store.write(record)
            del o.missing[index][key]
        for (method, scenario), causes in lost.items():
            number = "1 run" if len(causes) == 1 else f"{len(causes)} runs"
            self._say(f"{method} on {scenario}: {number} can't have a record: {causes[0]}")

    def _read(self) -> None:
        """Take the records that came since the last look."""
        names = set(list_runs(self._store.runs).records)
        for o in self._open.values():
            for missing in o.missing:
                there = [key for key in missing if key in names and self._changed(o, key)]
                self._take(o, missing, there)

    def _take(self, o: _Open, missing: dict[str, CellText], keys: Sequence[str]) -> None:
        """Take those records of a job that are there and new."""
        for key, record in self._store.scan(keys).records.items():
            if is_fresh(record, o.array.stale):
                o.records[key] = record
                del missing[key]

    def _changed(self, o: _Open, key: str) -> bool:
        """Whether a record may be another than at the last look: most to be replaced are still the old ones."""
        if key not in o.array.stale:
            return True
        try:
            changed = (self._store.runs / f"{key}.json").stat().st_mtime_ns
        except OSError:
            return False
        before, o.seen[key] = o.seen.get(key), changed
        return before != changed


def halved(array: Array, records: Mapping[str, Record]) -> list[list[CellText]]:
    """Jobs of half the size from the runs of an array that ran out of memory."""
    size = array.largest or max(map(len, array.jobs))
    half = max(1, -(-size // 2))
    jobs: list[list[CellText]] = []
    for job in array.jobs:
        runs: Sequence[CellText] = [c for c in job if c.key in records and records[c.key].status is Status.OOM]
        jobs += [list(runs[i : i + half]) for i in range(0, len(runs), half)]
    return jobs
