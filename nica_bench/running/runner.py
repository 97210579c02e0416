"""Plan the runs of a command, compute those without a record, and return the records of all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Container, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from nica_bench.errors import UsageError
from nica_bench.method import Method
from nica_bench.metrics import Metric
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.running.grid import Grid
from nica_bench.running.machine import memory_limit, usable_cores
from nica_bench.running.plan import Group, Run, grouped, pending, unfit
from nica_bench.running.reporter import Reporter
from nica_bench.running.work import Setting, failed_record
from nica_bench.scenario import Scenario

if TYPE_CHECKING:
    from nica_bench.running.pool import Crew

__all__ = ["Counts", "Plan", "compute", "execute", "make_plan"]

MEMORY_SHARE = 0.5
"""The share of the available memory that all workers together may use by plan."""


@dataclass
class Counts:
    """The numbers of runs of a method on a scenario, by their state.

    Args:
        runs: the number of all runs.
        cached: the number of runs with a record.
        skipped: the number of runs whose method cannot run on the scenario.
        failed: the number of runs that failed before and are not repeated.
        pending: the number of runs to be computed.
        why: the reason for which runs are skipped.
    """

    runs: int = 0
    cached: int = 0
    skipped: int = 0
    failed: int = 0
    pending: int = 0
    why: str = ""

    def text(self, cached: str) -> str:
        """Return the numbers of runs that are not computed as text; `cached` is the word for runs with a record."""
        parts = [f"{self.cached} {cached}"]
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        parts += [f"{self.failed} failed before (--retry failed repeats them)"] if self.failed else []
        return ", ".join(parts)

    def __add__(self, other: Counts) -> Counts:
        names = ("runs", "cached", "skipped", "failed", "pending")
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True)
class Plan:
    """The runs of a command and their state.

    Args:
        store: the store of the records.
        runs: all runs.
        pending: the runs to be computed.
        skipped: the runs whose method cannot run on their scenario, with the reason.
        failed: the runs that failed before and are not repeated.
        broken: the reason for which a file is not a valid record, by path.
        missing: one line per scenario with missing files: which they are, and how to get them.
    """

    store: Store
    runs: list[Run]
    pending: list[Run]
    skipped: list[tuple[Run, str]]
    failed: frozenset[Run]
    broken: dict[Path, str]
    missing: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Return notes on the plan: broken records, and warnings of the scenarios."""
        lines = [
            f"broken record {path}: {reason}; it is computed again if it is among the runs"
            for path, reason in self.broken.items()
        ]
        for scenario in dict.fromkeys(run.scenario for run in self.runs):
            lines += [f"note: {scenario.label}: {warning}" for warning in scenario.warnings()]
        return lines

    def counts(self, skipped_before: Container[str] = ()) -> dict[tuple[Scenario, Method], Counts]:
        """Return the numbers of runs of each method on each scenario, in the order of the plan.

        Args:
            skipped_before: the keys of runs that count as skipped by their record; else they count as cached.
        """
        waiting, skipped = set(self.pending), dict(self.skipped)
        found: dict[tuple[Scenario, Method], Counts] = {}
        for run in self.runs:
            counts = found.setdefault((run.scenario, run.method), Counts())
            counts.runs += 1
            if run in waiting:
                counts.pending += 1
            elif run in skipped or run.spec.key in skipped_before:
                counts.skipped += 1
                counts.why = counts.why or skipped.get(run, "")
            elif run in self.failed:
                counts.failed += 1
            else:
                counts.cached += 1
        return found


def make_plan(grid: Grid, store: Store, *, retry: set[Status], force: bool, need_files: bool = True) -> Plan:
    """Return the plan of a command; nothing is computed.

    Args:
        grid: the scenarios, methods and seeds.
        store: the store of the records.
        retry: the statuses whose runs are repeated.
        force: whether all runs are repeated.
        need_files: whether missing files are an error; else the plan names them.

    Raises:
        UsageError: if files of a scenario with pending runs are missing; the message names them.
    """
    scan = store.scan()
    runs = grid.runs()
    todo = pending(runs, scan.records, retry, force)
    reasons = {(c.scenario, c.method): unfit(c.method, c.scenario) for c in todo}
    skipped = [(c, reason) for c in todo if (reason := reasons[c.scenario, c.method]) is not None]
    run = [c for c in todo if reasons[c.scenario, c.method] is None]
    problems = (scenario.unavailable() for scenario in dict.fromkeys(c.scenario for c in run))
    missing = tuple(problem for problem in problems if problem is not None)
    if missing and need_files:
        raise UsageError(missing[0])
    kept = set(runs) - set(todo)
    failed = frozenset(c for c in kept if scan.records[c.spec.key].status not in (Status.OK, Status.SKIPPED))
    return Plan(store, runs, run, skipped, failed, dict(scan.broken), missing)


def execute(
    plan: Plan,
    *,
    device: str = "auto",
    jobs: int | None = None,
    timeout: float | None = None,
    compile: bool = False,
    debug: bool = False,
    modules: tuple[str, ...] = (),
    metrics: tuple[str | Metric, ...] = (),
    command: tuple[str, ...] | None = None,
    reporter: Reporter | None = None,
) -> list[Record]:
    """Compute the pending runs of a plan and return the records of all its runs, in the order of the plan.

    Args:
        plan: the plan.
        device: auto, cpu, cuda or mps; an accelerator computes whole groups in one process.
        jobs: the number of worker processes; None: one per core.
        timeout: the time limit per run in seconds.
        compile: whether to use torch.compile.
        debug: whether to print the traceback of a failed run.
        modules: files of methods and scenarios that workers load.
        metrics: metrics beside those of nica-bench and of installed packages, or files that define them.
        command: the command that the records state; None: the command line of this process.
        reporter: it receives the progress; None: no reports.

    Raises:
        UsageError: if the device or the compiler is not available.
        NicaBenchError: if records cannot be written; finished runs are kept.
    """
    plan.store.clean()
    setting = Setting(
        str(plan.store.folder), device, compile, tuple(sys.argv) if command is None else command, debug, metrics=metrics
    )
    for run, reason in plan.skipped:
        plan.store.write(failed_record(run, Status.SKIPPED, reason, setting, time.time()))
    if plan.pending:
        compute(plan.pending, setting, jobs=jobs, timeout=timeout, modules=modules, reporter=reporter)
    return list(plan.store.scan(dict.fromkeys(c.spec.key for c in plan.runs)).records.values())


def compute(
    runs: Sequence[Run],
    setting: Setting,
    *,
    jobs: int | None = None,
    timeout: float | None = None,
    modules: tuple[str, ...] = (),
    reporter: Reporter | None = None,
    family: Callable[[Run], Hashable] | None = None,
    largest: int | None = None,
    sharing: int = 1,
    together: Sequence[Sequence[Run]] = (),
    crew: Crew | None = None,
) -> None:
    """Compute runs on worker processes, and return when each run has a record.

    Args:
        runs: the runs.
        setting: the setting of the run; its device may be auto.
        jobs, timeout, modules, reporter: as in `execute`.
        family, largest: as in `grouped`.
        sharing: the number of groups that are trained on one accelerator at the same time.
        together: groups of runs that continue from a common checkpoint; they are computed last.
        crew: it receives the workers, so that they can be interrupted.

    Raises:
        UsageError, NicaBenchError: as in `execute`.
    """
    from nica_bench.running.pool import run_groups

    setting = replace(setting, device=_device(setting.device, setting.compile))
    workers = sharing if setting.device != "cpu" else jobs or usable_cores()
    memory = MEMORY_SHARE * _free_memory(setting.device) / workers
    begun = {run for members in together for run in members}
    groups = grouped([c for c in runs if c not in begun], workers, memory, family, largest)
    groups += [Group(tuple(members)) for members in together]
    run_groups(groups, setting, workers, timeout, modules, reporter or Reporter(), crew)


def _free_memory(device: str) -> int:
    """Return the free memory of the device in bytes."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return min(int(psutil.virtual_memory().available), memory_limit())


def _device(name: str, compile: bool) -> str:
    """Return the device; torch is not imported for cpu."""
    if name == "cpu" and not compile:
        return name
    from nica_bench.training.device import check_compiler, resolve_device

    if compile:
        check_compiler()
    return resolve_device(name)
