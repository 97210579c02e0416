"""A run, top to bottom: plan the runs, keep what is there, compute the rest, leave a record for each."""

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
"""Share of the available memory that all workers together may plan to use."""


@dataclass
class Counts:
    """How many runs a method has on a scenario, and what becomes of them.

    Args:
        runs: in all.
        cached: with a record.
        skipped: whose method cannot run on the scenario.
        failed: that failed before and are not tried again.
        pending: to be computed.
        why: they are skipped.
    """

    runs: int = 0
    cached: int = 0
    skipped: int = 0
    failed: int = 0
    pending: int = 0
    why: str = ""

    def text(self, cached: str) -> str:
        """What is not to be computed, for people; `cached` is the word for what has a record."""
        parts = [f"{self.cached} {cached}"]
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        parts += [f"{self.failed} failed before (--retry failed takes them again)"] if self.failed else []
        return ", ".join(parts)

    def __add__(self, other: Counts) -> Counts:
        names = ("runs", "cached", "skipped", "failed", "pending")
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Args:
        store: where the records are.
        runs: all runs of the grid.
        pending: those to be computed.
        skipped: those whose method makes no sense on their scenario, with the reason.
        failed: those that failed before and are not tried again.
        broken: why a file that should be a record is none, by path.
        missing: what files of its scenarios are not there, and where to get them, a line each.
    """

    store: Store
    runs: list[Run]
    pending: list[Run]
    skipped: list[tuple[Run, str]]
    failed: frozenset[Run]
    broken: dict[Path, str]
    missing: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """What is to be known before the run begins: broken records, and warnings of the scenarios."""
        lines = [
            f"broken record {path}: {reason}; it is computed again where it is asked for"
            for path, reason in self.broken.items()
        ]
        for scenario in dict.fromkeys(run.scenario for run in self.runs):
            lines += [f"note: {scenario.label}: {warning}" for warning in scenario.warnings()]
        return lines

    def counts(self, skipped_before: Container[str] = ()) -> dict[tuple[Scenario, Method], Counts]:
        """What becomes of the runs of each method on each scenario, in the plan's order.

        Args:
            skipped_before: keys of runs whose record says that they were skipped; else they count as cached.
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
    """Plan a run; computes nothing.

    Args:
        grid: what is run.
        store: where records are.
        retry: statuses that are computed again.
        force: compute everything again.
        need_files: refuse a plan that lacks files; else it only says which.

    Raises:
        UsageError: if files of a scenario are missing that has runs to be computed; they are named.
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
    """Compute what is pending and return the records of all the plan's runs, in the plan's order.

    Args:
        plan: what to do.
        device: auto, cpu, cuda or mps; an accelerator takes whole groups in one process.
        jobs: worker processes; None is one for each core.
        timeout: most seconds a run.
        compile: use torch.compile.
        debug: print the traceback of a run that fails.
        modules: files of methods and scenarios that workers load.
        metrics: beside those of nica-bench and of installed packages, or files that define them.
        command: what is noted as the command that made the records; None is the command line of this process.
        reporter: is told how the run goes on; None is silent.

    Raises:
        UsageError: for a device or a compiler that is not there.
        NicaBenchError: if records can't be written any more; what is finished is kept.
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
    """Compute runs on worker processes, and return when each of them has a record.

    Args:
        runs: what to compute.
        setting: of the run; its device may be auto.
        jobs, timeout, modules, reporter: as in `execute`.
        family, largest: as in `grouped`.
        sharing: groups that are trained on one accelerator at once.
        together: runs that were trained together before and go on from their checkpoint; they come last.
        crew: gets the workers, so that they can be stopped.

    Raises:
        UsageError, NicaBenchError: as `execute`.
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
    """Bytes that are free where the models are trained."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return min(int(psutil.virtual_memory().available), memory_limit())


def _device(name: str, compile: bool) -> str:
    """The device to use; does not wait for torch where it is told."""
    if name == "cpu" and not compile:
        return name
    from nica_bench.training.device import check_compiler, resolve_device

    if compile:
        check_compiler()
    return resolve_device(name)
