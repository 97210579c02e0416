"""A run, top to bottom: plan the runs, keep what is there, compute the rest, leave a record for each."""

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
from nica_bench.metrics import Metric
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
"""Share of the available memory that all workers together may plan to use."""


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
    """Plan a run; computes nothing.

    Args:
        scenarios, methods, seeds, inits: the grid; where seeds or inits are None, each scenario's own default holds.
        store: where records are.
        retry: statuses that are computed again.
        force: compute everything again.
        need_files: refuse a plan that lacks files; else it only says which.

    Raises:
        UsageError: if files of a scenario are missing that has runs to be computed; they are named.
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
