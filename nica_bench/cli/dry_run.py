"""What `nica-bench sweep --dry-run` prints: runs, jobs, an estimate and the script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from nica_bench.cli.console import counted, listing
from nica_bench.cli.watching import clock
from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.running.progress import runs_text
from nica_bench.running.runner import Plan, make_plan

if TYPE_CHECKING:
    from nica_bench.sweep import Batch, Costs, Made

__all__ = ["dry_run"]


@dataclass
class _Counts:
    """Runs of a method on a scenario."""

    runs: int = 0
    cached: int = 0
    skipped: int = 0
    failed: int = 0
    pending: int = 0


def dry_run(made: Made, store: Store, again: set[Status], force: bool, cluster: str) -> None:
    """Print what a sweep would do, and make nothing.

    Args:
        made: the grid.
        store: of the records.
        again: statuses that are computed again.
        force: compute everything again.
        cluster: where it would run.

    Raises:
        UsageError: if it could not be done from here: files of a scenario are missing, or Slurm is.
    """
    from nica_bench.sweep import CLUSTERS, Array, Costs, Journal, Slurm, pack

    grid = made.scenarios, made.methods, made.seeds, made.training_seeds
    plan = make_plan(*grid, store, retry=again, force=force, need_files=False)
    records = store.scan().records
    counts = _counts(plan, {key for key, record in records.items() if record.status is Status.SKIPPED})
    rows = [["scenario", "method", "cells", "cached", "skipped", "failed", "pending"]]
    rows += [[*labels, *map(str, vars(c).values())] for labels, c in counts.items()]
    listing(rows)
    open_ = {c.key for array in Journal(store.folder).open_arrays() for job in array.jobs for c in job}
    runs = [c for c in plan.pending if c.spec.key not in open_]
    costs = Costs(records.values())
    batches = pack(runs, lambda run: made.resources[run.method], costs)
    typer.echo(_summary(list(counts.values()), batches))
    if len(runs) < len(plan.pending):
        typer.echo(f"{len(plan.pending) - len(runs)} of the pending ones are in jobs of an earlier sweep")
    for (scenario, method), why in {(c.scenario.label, c.method.label): why for c, why in plan.skipped}.items():
        typer.echo(f"{method} on {scenario}: skipped, {why}")
    for batch in batches:
        jobs, most = counted(len(batch.jobs), "job"), counted(max(map(len, batch.jobs)), "cell")
        typer.echo(f"array of {jobs}, {most} a job at most: {_estimate(batch, costs)}")
        if cluster == "slurm":
            slurm = Slurm()
            array = Array("nica-000000000000", "slurm", tuple(() for _ in batch.jobs), batch.resources)
            typer.echo(slurm.script(array, Journal(store.folder).array_folder(array.name)))
    if plan.missing:
        raise UsageError("files missing: " + "; ".join(plan.missing))
    if cluster == "slurm":
        try:
            CLUSTERS[cluster]().check(dict.fromkeys(made.resources.values()))
        except NicaBenchError as error:
            raise UsageError(f"it could not be submitted from here: {error}") from error


def _counts(plan: Plan, skipped_before: set[str]) -> dict[tuple[str, str], _Counts]:
    """What becomes of the runs, by the labels of scenario and method."""
    waiting, skipped = set(plan.pending), {run for run, _ in plan.skipped}
    counts: dict[tuple[str, str], _Counts] = {}
    for run in plan.runs:
        row = counts.setdefault((run.scenario.label, run.method.label), _Counts())
        row.runs += 1
        if run in waiting:
            row.pending += 1
        elif run in skipped or run.spec.key in skipped_before:
            row.skipped += 1
        elif run in plan.failed:
            row.failed += 1
        else:
            row.cached += 1
    return counts


def _summary(counts: Sequence[_Counts], batches: Sequence[Batch]) -> str:
    total = {name: sum(getattr(c, name) for c in counts) for name in vars(_Counts())}
    parts = [f"{total['cached']} cached"]
    parts += [f"{total['skipped']} skipped"] if total["skipped"] else []
    parts += [f"{total['failed']} failed before (--retry failed takes them again)"] if total["failed"] else []
    parts += [f"{total['pending']} pending"]
    jobs, arrays = counted(sum(len(b.jobs) for b in batches), "job"), counted(len(batches), "array")
    return f"{runs_text(total['cells'])}: {', '.join(parts)}; {jobs} in {arrays}"


def _estimate(batch: Batch, costs: Costs) -> str:
    runs = [c for job in batch.jobs for c in job]
    seconds = [s for c in runs if (s := costs.seconds(c)) is not None]
    memory = [m for c in runs if (m := costs.memory(c)) is not None]
    if not seconds:
        return "no records tell yet how long a run takes"
    total = sum(seconds) / len(seconds) * len(runs)
    longest = max(sum(costs.seconds(c) or total / len(runs) for c in job) for job in batch.jobs)
    known = "" if len(seconds) == len(runs) else f" (known of {len(seconds)} of {len(runs)} runs)"
    most = f"; {max(memory) / 1e9:.1f} GB a process" if memory else ""
    return f"about {clock(total)} of work{known}, {clock(longest)} the longest job{most}"
