"""A sweep from beginning to end: what is ordered, and carrying it out until each run has its record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.method import Method
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.running.grid import MANY_RUNS, Grid, Request, resolve
from nica_bench.running.gridfile import GridFile, Settings
from nica_bench.running.plan import parse_statuses
from nica_bench.running.resources import Resources
from nica_bench.running.runner import Counts, Plan, make_plan
from nica_bench.sweep.journal import Journal
from nica_bench.sweep.packing import Costs, pack
from nica_bench.sweep.sweeping import CLUSTERS, Manner, Sweep

__all__ = ["Order", "carry_out", "make_order"]


@dataclass(frozen=True)
class Order:
    """What is swept, where and how.

    Args:
        grid: the runs.
        resources: what the jobs of each method ask for.
        cluster: slurm, local or debug.
        manner: how the runs are computed.
        retry: statuses that are computed again.
        force: compute everything again.
    """

    grid: Grid
    resources: Mapping[Method, Resources]
    cluster: str = "local"
    manner: Manner = field(default_factory=Manner)
    retry: set[Status] = field(default_factory=set)
    force: bool = False

    def check(self) -> None:
        """Check that the device and the cluster are there. Raises UsageError or NicaBenchError."""
        if self.cluster != "slurm" and self.manner.device not in ("auto", "cpu"):
            from nica_bench.training.device import resolve_device

            resolve_device(self.manner.device)
        CLUSTERS[self.cluster]().check(dict.fromkeys(self.resources.values()))


def make_order(
    file: GridFile,
    options: Request | None = None,
    settings: Settings | None = None,
    *,
    cluster: str = "local",
    resources: Mapping[str, Any] | None = None,
    limit: int | None = MANY_RUNS,
    debug: bool = False,
) -> Order:
    """The order that a file and options give; options take precedence over the file.

    Args:
        file: that says what is run.
        options: what is asked for beside the file.
        settings: how it is run, from the options.
        cluster: slurm, local or debug.
        resources: values for `Resources`; None where one was not given.
        limit: most runs; None for any number.
        debug: print the traceback of a run that fails.

    Raises:
        UsageError: for wrong names and values, with the line of the file where they came from there.
    """
    if cluster not in CLUSTERS:
        raise UsageError(f"unknown cluster '{cluster}'; {did_you_mean(cluster, CLUSTERS)}")
    grid = resolve(options or Request(), file.request, limit)
    settings = settings.over(file.settings) if settings is not None else file.settings
    own = {method: axis.resources or file.resources for method, axis in grid.axes.items()}
    asked = {method: each.with_values(resources or {}) for method, each in own.items()}
    manner = Manner(
        settings.device or "auto",
        settings.timeout,
        bool(settings.compile),
        settings.jobs,
        debug,
        settings.metric_files or (),
    )
    return Order(grid, asked, cluster, manner, parse_statuses(settings.retry), bool(settings.force))


def carry_out(
    order: Order,
    store: Store,
    say: Callable[[str], None] = lambda line: None,
    wait: Callable[[Sweep], None] | None = None,
    poll: float | None = None,
) -> Plan:
    """Gather what earlier sweeps into a folder left, submit what is missing, and wait until all jobs have ended.

    Args:
        order: what is swept.
        store: of the records.
        say: takes lines for people.
        wait: is called with the sweep once everything is submitted; None waits without a word.
        poll: most seconds between two looks; None is what is polite to the cluster.

    Returns:
        The plan that was carried out: its runs are all that were ordered.

    Raises:
        UsageError: if another process sweeps into the folder, files of a scenario are missing, or jobs are refused.
        NicaBenchError: if jobs can't be submitted or records can't be read now; what is finished is kept.
    """
    with Journal(store.folder).submitting():
        sweep = Sweep(store, say, poll)
        sweep.attach()
        plan = make_plan(order.grid, store, retry=order.retry, force=order.force)
        running = sweep.watch.keys
        runs = [run for run in plan.pending if run.spec.key not in running]
        for line in [*plan.notes(), *_announcement(plan, len(plan.pending) - len(runs))]:
            say(line)
        sweep.journal.write_plan(plan.runs, sys.argv)
        costs = Costs(store.scan(run.spec.key for run in plan.runs).records.values() if runs else ())
        batches = pack(runs, lambda run: order.resources[run.method], costs)
        sweep.submit(plan, batches, order.cluster, order.manner, order.grid.texts)
        if wait is not None:
            wait(sweep)
        else:
            for _ in sweep.run():
                pass
    return plan


def _announcement(plan: Plan, on_the_way: int) -> list[str]:
    """What was found and what will be done, in lines for people."""
    counts = plan.counts()
    lines = [f"{m.label} on {s.label}: skipped, {c.why}" for (s, m), c in counts.items() if c.skipped]
    total = sum(counts.values(), Counts())
    running = f", {on_the_way} in jobs that run already" if on_the_way else ""
    number = f"{total.runs} run" + ("" if total.runs == 1 else "s")
    return [*lines, f"{number}: {total.text('there')}{running}, {total.pending - on_the_way} to submit"]
