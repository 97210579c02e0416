"""A run, top to bottom: plan the cells, keep what is there, compute the rest, leave a record for each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from nica_bench.method import Method, Progress
from nica_bench.plan import Cell, Group, grouped, make_cells, pending
from nica_bench.record import Record, Status
from nica_bench.scenario import Scenario
from nica_bench.store import Store
from nica_bench.work import Setting, failed_record

__all__ = ["Plan", "execute", "make_plan"]

MEMORY_SHARE = 0.5
"""Share of the available memory that all workers together may plan to use."""


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    store: Store
    cells: list[Cell]
    pending: list[Cell]
    skipped: list[tuple[Cell, str]]
    broken: dict[Path, str]


def make_plan(
    scenarios: Sequence[Scenario],
    methods: Sequence[Method],
    seeds: Sequence[int],
    inits: int,
    store: Store,
    *,
    retry: set[Status],
    force: bool,
) -> Plan:
    """Plan a run; computes nothing.

    Args:
        scenarios, methods, seeds, inits: the grid.
        store: where records are.
        retry: statuses that are computed again.
        force: compute everything again.
    """
    scan = store.scan()
    cells = make_cells(scenarios, methods, seeds, inits)
    todo = pending(cells, scan.records, retry, force)
    reasons = {(c.scenario, c.method): c.method.skip(c.scenario) for c in todo}
    skipped = [(c, reason) for c in todo if (reason := reasons[c.scenario, c.method]) is not None]
    return Plan(store, cells, [c for c in todo if reasons[c.scenario, c.method] is None], skipped, dict(scan.broken))


def execute(
    plan: Plan,
    *,
    device: str,
    jobs: int | None,
    timeout: float | None,
    compile: bool,
    modules: tuple[str, ...],
    report: Callable[[Group, Progress | None], None],
) -> list[Record]:
    """Compute what is pending and return the records of all the plan's cells.

    Args:
        plan: what to do.
        device: auto, cpu, cuda or mps; an accelerator takes whole groups in one process.
        jobs: worker processes; None is one for each core.
        timeout: most seconds a cell.
        compile: use torch.compile.
        modules: method files that workers load.
        report: takes the progress of groups.
    """
    setting = Setting(str(plan.store.folder), device, compile, tuple(sys.argv))
    for cell, reason in plan.skipped:
        plan.store.write(failed_record(cell, Status.SKIPPED, reason, setting, time.time()))
    if plan.pending:
        from nica_bench.training.device import check_compiler, resolve_device
        from nica_bench.workers import run_groups

        if compile:
            check_compiler()
        setting = replace(setting, device=resolve_device(device))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = 1 if setting.device != "cpu" else jobs or cores
        memory = MEMORY_SHARE * psutil.virtual_memory().available / workers
        run_groups(grouped(plan.pending, workers, memory), setting, workers, timeout, modules, report)
    keys = {c.spec.key for c in plan.cells}
    return [record for key, record in plan.store.scan().records.items() if key in keys]
