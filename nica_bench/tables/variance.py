"""Variance components: how much of the spread of scores comes from the datasets and how much from training seeds."""

from __future__ import annotations

from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection
from nica_bench.records.record import Status
from nica_bench.stats import Quantity, Series, blocks_of, quantity, split_variance
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Table, bracket_of, number, short

__all__ = ["KIND"]


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    wanted = quantity(query.metric or "mcc", collection.records)
    blocks, notes = blocks_of(collection.records)
    legend = (
        f"std data is the standard deviation of {wanted.name} between datasets, and std training that between the "
        "training seeds of one dataset. data share is the share of the variance that comes from the datasets. failed "
        "is the number of runs without a score, which are left out."
    )
    tables = []
    for block in blocks:
        rows = []
        for series in block.series:
            scores, failed = _scores(series, wanted)
            try:
                split = split_variance(scores)
            except UsageError:
                notes.append(
                    f"{block.scenario}: {series.method} has no two datasets of which one has two training seeds"
                )
                continue
            rows.append(
                {
                    "method": series.method,
                    "metric": wanted.name,
                    "std_data": split.data**0.5,
                    "std_training": split.training**0.5,
                    **short("share_data", split.share),
                    "datasets": split.datasets,
                    "runs": split.runs,
                    "failed": failed,
                }
            )
        if rows:
            tables.append(Table(block.scenario, _COLUMNS, rows, legend=legend))
    if not tables:
        raise UsageError(
            "no method has two datasets of which one has two training seeds: run with --training-seeds 3, for example"
        )
    return tables, notes


def _scores(series: Series, wanted: Quantity) -> tuple[dict[int, list[float]], int]:
    """Return the scores of each dataset, one per training seed, and the number of runs without one."""
    scores: dict[int, list[float]] = {}
    failed = 0
    for (seed, _), record in series.records.items():
        value = wanted.of(record) if record.status is Status.OK else None
        failed += value is None
        if value is not None:
            scores.setdefault(seed, []).append(value)
    return scores, failed


_COLUMNS = (
    Column("method", lambda r: r["method"], right=False),
    Column("std data", lambda r: number(r["std_data"]), lambda r: r["std_data"]),
    Column("std training", lambda r: number(r["std_training"]), lambda r: r["std_training"]),
    Column("data share [95 %]", bracket_of("share_data", 2), lambda r: r["share_data"]),
    Column("runs", lambda r: f"{r['runs']}", lambda r: r["runs"]),
    Column("failed", lambda r: f"{r['failed']}", lambda r: r["failed"]),
)

KIND = TableKind("variance", "variance between datasets and between training seeds", _build)
