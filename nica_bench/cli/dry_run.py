"""What `nica-bench sweep --dry-run` prints: runs, jobs, an estimate and the script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from nica_bench.cli.console import counted, listing
from nica_bench.cli.watching import clock
from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.running.progress import runs_text
from nica_bench.running.runner import Counts, make_plan

if TYPE_CHECKING:
    from nica_bench.sweep import Batch, Costs, Order

__all__ = ["dry_run"]

_COUNTED = ("runs", "cached", "skipped", "failed", "pending")


def dry_run(order: Order, store: Store) -> None:
    """Print what a sweep would do, and make nothing.

    Args:
        order: what would be swept.
        store: of the records.

    Raises:
        UsageError: if it could not be done from here: files of a scenario are missing, or Slurm is.
    """
    from nica_bench.sweep import Array, Costs, Journal, Slurm, pack

    cluster = order.cluster
    plan = make_plan(order.grid, store, retry=order.retry, force=order.force, need_files=False)
    records = store.scan().records
    counts = plan.counts({key for key, record in records.items() if record.status is Status.SKIPPED})
    rows = [["scenario", "method", "runs", "cached", "skipped", "failed", "pending"]]
    for (scenario, method), c in counts.items():
        rows.append([scenario.label, method.label, *(str(getattr(c, name)) for name in _COUNTED)])
    listing(rows)
    open_ = {c.key for array in Journal(store.folder).open_arrays() for job in array.jobs for c in job}
    runs = [c for c in plan.pending if c.spec.key not in open_]
    costs = Costs(records.values())
    batches = pack(runs, lambda run: order.resources[run.method], costs)
    typer.echo(_summary(sum(counts.values(), Counts()), batches))
    if len(runs) < len(plan.pending):
        typer.echo(f"{len(plan.pending) - len(runs)} of the pending ones are in jobs of an earlier sweep")
    for (scenario, method), c in counts.items():
        if c.why:
            typer.echo(f"{method.label} on {scenario.label}: skipped, {c.why}")
    for batch in batches:
        jobs, most = counted(len(batch.jobs), "job"), counted(max(map(len, batch.jobs)), "run")
        typer.echo(f"array of {jobs}, at most {most} per job: {_estimate(batch, costs)}")
        if cluster == "slurm":
            slurm = Slurm()
            array = Array("nica-000000000000", "slurm", tuple(() for _ in batch.jobs), batch.resources)
            typer.echo(slurm.script(array, Journal(store.folder).array_folder(array.name)))
    if plan.missing:
        raise UsageError("files missing: " + "; ".join(plan.missing))
    if cluster == "slurm":
        try:
            order.check()
        except NicaBenchError as error:
            raise UsageError(f"it could not be submitted from here: {error}") from error


def _summary(total: Counts, batches: Sequence[Batch]) -> str:
    jobs, arrays = counted(sum(len(b.jobs) for b in batches), "job"), counted(len(batches), "array")
    return f"{runs_text(total.runs)}: {total.text('cached')}, {total.pending} pending; {jobs} in {arrays}"


def _estimate(batch: Batch, costs: Costs) -> str:
    runs = [c for job in batch.jobs for c in job]
    seconds = [s for c in runs if (s := costs.seconds(c)) is not None]
    memory = [m for c in runs if (m := costs.memory(c)) is not None]
    if not seconds:
        return "no records tell yet how long a run takes"
    total = sum(seconds) / len(seconds) * len(runs)
    longest = max(sum(costs.seconds(c) or total / len(runs) for c in job) for job in batch.jobs)
    known = "" if len(seconds) == len(runs) else f" (known of {len(seconds)} of {len(runs)} runs)"
    most = f"; {max(memory) / 1e9:.1f} GB per process" if memory else ""
    return f"about {clock(total)} of work{known}, {clock(longest)} the longest job{most}"
