"""A sweep, top to bottom: find what is running, submit what is missing, watch until each run has its record."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.method import Method
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.registry import method_file, scenario_file
from nica_bench.running.plan import Run
from nica_bench.running.runner import Plan
from nica_bench.running.work import Setting, failed_record
from nica_bench.scenario import Scenario
from nica_bench.sweep.clusters import Cluster, Debug, Local, Look, Unanswered
from nica_bench.sweep.job import CellText, SweepJob, made_at
from nica_bench.sweep.journal import Array, Journal
from nica_bench.sweep.packing import Batch
from nica_bench.sweep.slurm import Slurm
from nica_bench.sweep.watching import Tally, Watch, halved

__all__ = ["CLUSTERS", "Manner", "Sweep", "cancel"]

CLUSTERS: Mapping[str, Callable[[], Cluster]] = {"slurm": Slurm, "local": Local, "debug": Debug}

_PATIENCE = 600.0
"""Seconds that a submission waits for a cluster that does not answer."""


@dataclass(frozen=True)
class Manner:
    """How runs are computed, whatever their method.

    Args:
        device, timeout, compile: as of a run.
        jobs: workers of a local job; None is one for each core.
        debug: print the traceback of a run that fails.
        metrics: files of metrics that are computed beside those of nica-bench.
    """

    device: str = "auto"
    timeout: float | None = None
    compile: bool = False
    jobs: int | None = None
    debug: bool = False
    metrics: tuple[str, ...] = ()


class Sweep:
    """Sweeps into one folder. Use it inside `Journal.submitting`.

    Args:
        store: of the records.
        say: takes a line for people.
        poll: most seconds between two looks; None is what is polite to the cluster.
    """

    def __init__(self, store: Store, say: Callable[[str], None], poll: float | None = None) -> None:
        self.journal = Journal(store.folder)
        self._store, self._say, self._poll = store, say, poll
        self._clusters: dict[str, Cluster] = {name: make() for name, make in CLUSTERS.items()}
        self.watch = Watch(store, self.journal, self._clusters, say)

    def attach(self) -> int:
        """Find the jobs of earlier sweeps, gather from those that have ended, and watch the rest; how many arrays run.

        Raises:
            NicaBenchError: if it can't be told now what became of them.
        """
        for array in self.journal.open_arrays():
            known = self._known(array)
            if known is not None:
                self.watch.add(known)
        for _ in range(3):  # a job counts as ended when two looks in a row find it so
            if not self.watch.keys:
                break
            if not self.watch.look().answered:
                raise NicaBenchError(
                    "jobs of an earlier sweep may be running, and their cluster does not answer: nothing was "
                    "submitted; give the same command again when it does"
                )
        self._close()
        return len(self.journal.open_arrays())

    def submit(
        self, plan: Plan, batches: Sequence[Batch], cluster: str, manner: Manner, texts: Mapping[Scenario | Method, str]
    ) -> None:
        """Submit runs; each becomes part of what is watched at once.

        Args:
            plan: with the store's present records of these runs.
            batches: what to submit.
            cluster: where.
            manner: how.
            texts: what the scenarios and methods are made from again elsewhere.

        Raises:
            UsageError: if the cluster refuses them.
            NicaBenchError: if they can't be submitted now; those that were go on.
        """
        setting = self._setting(manner)
        for run, reason in plan.skipped:
            self._store.write(failed_record(run, Status.SKIPPED, reason, setting, time.time()))
        old = self._store.scan(c.spec.key for batch in batches for job in batch.jobs for c in job).records
        for batch in batches:
            for part in self._parts(batch, cluster):
                jobs = tuple(tuple(_text(c, texts) for c in job) for job in part.jobs)
                self._submit(jobs, part, old, cluster, manner)

    def run(self) -> Iterator[Tally]:
        """Watch until all jobs have ended, with a pause after each look; runs that ran out of memory go again.

        Raises:
            NicaBenchError: if records can't be read or written any more.
        """
        pause, before = 0.0, None
        while True:
            tally = self.watch.look()
            self._again()
            yield tally
            if not self.watch.keys and not self.watch.finished:
                return
            shortest, longest = self._pauses()
            # soon after something happened, and ever more rarely while nothing does
            pause = shortest if tally != before else min(longest, max(shortest, 1.5 * pause))
            before = tally
            time.sleep(pause)

    def _pauses(self) -> tuple[float, float]:
        at_work = {a.cluster for a in self.watch.arrays}
        polling = [self._clusters[name].polling for name in at_work] or [(0.0, 0.0)]
        shortest, longest = max(p[0] for p in polling), max(p[1] for p in polling)
        return (shortest, longest) if self._poll is None else (min(shortest, self._poll), self._poll)

    def _again(self) -> None:
        """Submit again what ran out of memory, where that was asked for; then close what has ended."""
        for array in self.watch.finished:
            if array.attempt < array.resources.oom_retries:
                records = self.watch.records(array)
                jobs = halved(array, records)
                if jobs:
                    larger = array.resources.larger()
                    self._say(
                        f"out of memory: {sum(map(len, jobs))} runs go again in groups of {len(jobs[0])} at most"
                        + (f" with {larger.memory} MB" if larger.memory else "")
                    )
                    batch = Batch(larger, (), largest=len(jobs[0]), attempt=array.attempt + 1)
                    again = tuple(map(tuple, jobs))
                    self._submit(again, batch, records, array.cluster, Manner(**array.manner))
        self._close()

    def _close(self) -> None:
        for array in self.watch.finished:
            self.watch.close(array)
        self.watch.finished.clear()

    def _known(self, array: Array) -> Array | None:
        """An array with its number; None where it was never submitted."""
        if array.number is not None:
            return array
        folder = self.journal.array_folder(array.name)
        found = self._clusters[array.cluster].find(array, folder)
        if found is None:
            self.journal.forget(array)
            return None
        self._say(f"found the jobs of {array.name}, which were submitted by a process that is gone")
        return self.journal.write(replace(array, number=found[0], born=found[1]))

    def _parts(self, batch: Batch, cluster: str) -> Iterator[Batch]:
        """A batch in arrays that the cluster takes."""
        size = self._clusters[cluster].largest_array()
        for i in range(0, len(batch.jobs), size):
            yield replace(batch, jobs=batch.jobs[i : i + size])

    def _submit(
        self,
        jobs: tuple[tuple[CellText, ...], ...],
        batch: Batch,
        old: Mapping[str, Record],
        cluster: str,
        manner: Manner,
    ) -> None:
        if cluster == "local":  # the workers of one process take the groups in turn
            jobs = (tuple(c for job in jobs for c in job),)
        stale = {c.key: made_at(old[c.key]) for job in jobs for c in job if c.key in old}
        array = Array(
            Array.new_name(),
            cluster,
            jobs,
            batch.resources,
            stale,
            largest=batch.largest,
            attempt=batch.attempt,
            manner={**asdict(manner), "metrics": list(manner.metrics)},  # as it is read from JSON
        )
        self.journal.write(array)
        folder = self.journal.array_folder(array.name)
        settings: dict[str, Any] = {
            "setting": self._setting(manner),
            "modules": _modules(jobs),
            "workers": batch.resources.cpus if cluster == "slurm" else manner.jobs,
            "sharing": batch.resources.groups_per_gpu,
            "timeout": manner.timeout,
            "largest": batch.largest,
            "inline": cluster == "debug",
            "devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        }
        made = [
            SweepJob(str(folder), i, job, {c.key: stale[c.key] for c in job if c.key in stale}, **settings)
            for i, job in enumerate(jobs)
        ]
        self.watch.add(self._submitted(array, made))

    def _setting(self, manner: Manner) -> Setting:
        folder, command, metrics = str(self._store.folder), tuple(sys.argv), tuple(manner.metrics)
        return Setting(folder, manner.device, manner.compile, command, manner.debug, metrics=metrics)

    def _submitted(self, array: Array, jobs: Sequence[SweepJob]) -> Array:
        """Submit an array, once: where it is not known whether that came through, the cluster is asked before."""
        cluster, folder = self._clusters[array.cluster], self.journal.array_folder(array.name)
        last = time.monotonic() + _PATIENCE
        while True:
            try:
                number, born = cluster.submit(array, folder, jobs)
                return self.journal.write(replace(array, number=number, born=born))
            except UsageError:
                self.journal.forget(array)
                raise
            except Unanswered as error:
                self._say(f"{error}; asking again")
                while True:
                    try:
                        known = cluster.find(array, folder)
                        break
                    except NicaBenchError:
                        if time.monotonic() > last:
                            raise
                        time.sleep(10)
                if known is not None:
                    return self.journal.write(replace(array, number=known[0], born=known[1]))
                if time.monotonic() > last:
                    self.journal.forget(array)
                    raise
                array = self.journal.write(replace(array, created=time.time()))


def cancel(journal: Journal, clusters: Mapping[str, Cluster] | None = None) -> list[tuple[Array, int]]:
    """Cancel all jobs that sweeps into a folder have started, and no others.

    Returns:
        Arrays of which jobs had not ended, and how many.

    Raises:
        NicaBenchError: if a cluster does not answer.
    """
    clusters = clusters or {name: make() for name, make in CLUSTERS.items()}
    begun, stopped = [], []
    for array in journal.open_arrays():
        if array.number is None:
            found = clusters[array.cluster].find(array, journal.array_folder(array.name))
            if found is None:
                continue
            array = journal.write(replace(array, number=found[0], born=found[1]))
        begun.append(array)
    for name, cluster in clusters.items():
        mine = [a for a in begun if a.cluster == name]
        if not mine:
            continue
        wanted = {(a.name, i) for a in mine for i in range(len(a.jobs))}
        jobs = cluster.look(mine, wanted, journal.folder / "arrays") or {}
        left = [sum(jobs.get((a.name, i), Look("running")).state != "ended" for i in range(len(a.jobs))) for a in mine]
        alive = [(a, number) for a, number in zip(mine, left, strict=True) if number]
        if alive:
            cluster.cancel([a for a, _ in alive])
        stopped += alive
    return stopped


def _text(run: Run, texts: Mapping[Scenario | Method, str]) -> CellText:
    return CellText(texts[run.scenario], texts[run.method], run.seed, run.training_seed, run.spec.key)


def _modules(jobs: Iterable[Iterable[CellText]]) -> tuple[str, ...]:
    """The files of scenarios and methods of runs."""
    texts = dict.fromkeys((c.scenario, c.method) for job in jobs for c in job)
    files = dict.fromkeys(path for s, m in texts for path in (scenario_file(s), method_file(m)))
    return tuple(str(path) for path in files if path is not None)
