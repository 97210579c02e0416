"""Plan the runs of a command, compute those without a record, and return the records of all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from nica_bench.errors import UsageError
from nica_bench.method import Method
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.running.machine import memory_limit, usable_cores
from nica_bench.running.plan import Group, Run, grouped, make_runs, parse_seeds, pending, unfit
from nica_bench.running.reporter import Reporter
from nica_bench.running.work import Setting, failed_record
from nica_bench.scenario import Scenario

if TYPE_CHECKING:
    from nica_bench.running.pool import Crew

__all__ = ["Plan", "compute", "execute", "make_plan"]

MEMORY_SHARE = 0.5
"""The share of the available memory that all workers together may use by plan."""


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


def make_plan(
    scenarios: Sequence[Scenario],
    methods: Sequence[Method],
    seeds: Sequence[int] | None,
    training_seeds: int | None,
    store: Store,
    *,
    retry: set[Status],
    force: bool,
    need_files: bool = True,
) -> Plan:
    """Return the plan of a command; nothing is computed.

    Args:
        scenarios, methods, seeds, training_seeds: the runs are all combinations; if seeds or training seeds are None,
            the defaults of each scenario apply.
        store: the store of the records.
        retry: the statuses whose runs are repeated.
        force: whether all runs are repeated.
        need_files: whether missing files are an error; else the plan names them.

    Raises:
        UsageError: if files of a scenario with pending runs are missing; the message names them.
    """
    scan = store.scan()
    runs = [
        run
        for s in scenarios
        for run in make_runs(
            [s],
            methods,
            parse_seeds(s.default_seeds) if seeds is None else seeds,
            s.default_training_seeds if training_seeds is None else training_seeds,
        )
    ]
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
        reporter: it receives the progress; None: no reports.

    Raises:
        UsageError: if the device or the compiler is not available.
        NicaBenchError: if records cannot be written; finished runs are kept.
    """
    plan.store.clean()
    setting = Setting(str(plan.store.folder), device, compile, tuple(sys.argv), debug)
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
