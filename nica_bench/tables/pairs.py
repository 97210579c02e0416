"""Methods in pairs on the same data, and where the spread of each one's scores comes from."""

from __future__ import annotations

from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection
from nica_bench.records.record import Status
from nica_bench.stats import blocks_of, compare_all, quantity, split_variance
from nica_bench.stats.comparisons import p_text, pair_notes
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Row, Table, bracket, number, short

__all__ = ["KIND", "VARIANCE"]


def _pairs(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    wanted = quantity(query.metric or "mcc", collection.records)
    blocks, notes = blocks_of(collection.records)
    tables = []
    for block in blocks:
        pairs, more = compare_all(block, wanted)
        notes += [*more, *(f"{block.scenario}: {note}" for note in pair_notes(pairs))]
        if not pairs:
            notes.append(f"{block.scenario}: no two methods share a dataset with {wanted.name}")
            continue
        rows = [
            {
                "a": pair.a,
                "b": pair.b,
                "metric": wanted.name,
                "datasets": pair.comparison.count,
                "incomplete": pair.incomplete,
                **short("difference", pair.comparison.median),
                **short("mean_difference", pair.comparison.mean),
                **short("improvement", pair.comparison.improvement),
                "p": pair.comparison.p_value,
                "p_holm": pair.p_holm,
            }
            for pair in pairs
        ]
        caption = (
            f"Differences in {wanted.name}, a - b, dataset by dataset: their median. P(a better): ties are a half. "
            "p: Wilcoxon's signed-rank test with Holm's correction over this table. sets: datasets that both have."
        )
        tables.append(Table(block.scenario, _PAIR_COLUMNS, rows, caption, marked=lambda r: r["p_holm"] < 0.05))
    if not tables:
        raise UsageError(f"nothing to compare: {notes[-1]}")
    return tables, notes


def _three(row: Row, name: str, digits: int = 3) -> str:
    return bracket(row[name], row[f"{name}_low"], row[f"{name}_high"], digits)


_PAIR_COLUMNS = (
    Column("a", lambda r: r["a"], right=False),
    Column("b", lambda r: r["b"], right=False),
    Column("a - b [95 %]", lambda r: _three(r, "difference"), lambda r: r["difference"], mark=True),
    Column("P(a better) [95 %]", lambda r: _three(r, "improvement", 2), lambda r: r["improvement"], drop=1),
    Column("p", lambda r: p_text(r["p_holm"]), lambda r: r["p_holm"]),
    Column("sets", lambda r: str(r["datasets"]), lambda r: r["datasets"]),
)

KIND = TableKind("pairs", "methods in pairs on the same datasets", _pairs)


def _variance(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    wanted = quantity(query.metric or "mcc", collection.records)
    blocks, notes = blocks_of(collection.records)
    tables = []
    for block in blocks:
        rows = []
        for series in block.series:
            scores: dict[int, list[float]] = {}
            lost = 0
            for (seed, _), record in series.records.items():
                value = wanted.of(record) if record.status is Status.OK else None
                lost += value is None
                if value is not None:
                    scores.setdefault(seed, []).append(value)
            try:
                split = split_variance(scores)
            except UsageError:
                notes.append(f"{block.scenario}: {series.method} has not two datasets and two initialisations of one")
                continue
            rows.append(
                {
                    "method": series.method,
                    "metric": wanted.name,
                    "sd_data": split.data**0.5,
                    "sd_initialisation": split.initialisation**0.5,
                    **short("share_data", split.share),
                    "datasets": split.datasets,
                    "cells": split.runs,
                    "left_out": lost,
                }
            )
        if rows:
            caption = (
                f"Standard deviation of {wanted.name} between datasets and between the initialisations of one. data: "
                "share of the variance. lost: runs without a score, which are left out here."
            )
            tables.append(Table(block.scenario, _VARIANCE_COLUMNS, rows, caption))
    if not tables:
        raise UsageError("no method has several initialisations of its datasets: run with --training-seeds 3, say")
    return tables, notes


_VARIANCE_COLUMNS = (
    Column("method", lambda r: r["method"], right=False),
    Column("sd data", lambda r: number(r["sd_data"]), lambda r: r["sd_data"]),
    Column("sd init", lambda r: number(r["sd_initialisation"]), lambda r: r["sd_initialisation"]),
    Column("data [95 %]", lambda r: _three(r, "share_data", 2), lambda r: r["share_data"]),
    Column("cells", lambda r: f"{r['cells']}", lambda r: r["cells"]),
    Column("lost", lambda r: f"{r['left_out']}", lambda r: r["left_out"]),
)

VARIANCE = TableKind("variance", "spread between datasets and between initialisations", _variance)
