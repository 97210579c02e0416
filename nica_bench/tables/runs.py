"""All runs with the values of their records, one row per run."""

from __future__ import annotations

from nica_bench.records.collection import Collection
from nica_bench.stats import frame_of
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Row, Table, number

__all__ = ["KIND"]


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    frame = frame_of(collection.records)
    values = frame.astype(object).where(frame.notna(), None)
    rows: list[Row] = [dict(zip(frame.columns, row, strict=True)) for row in values.itertuples(index=False, name=None)]
    columns = [
        Column("key", lambda r: r["key"][:12], right=False),
        Column("scenario", lambda r: r["scenario"], right=False, wrap=True, drop=1),
        Column("method", lambda r: r["method"], right=False),
        Column("seed", lambda r: str(r["seed"]), lambda r: r["seed"]),
        Column("training seed", lambda r: str(r["training_seed"]), lambda r: r["training_seed"]),
        Column("status", lambda r: r["status"], right=False),
        Column("MCC", lambda r: number(r["mcc"]), lambda r: r["mcc"]),
    ]
    caption = "One row per run; the formats csv, json and parquet hold every value of a record."
    return [Table("runs", columns, rows, caption, key="table")], []


KIND = TableKind("runs", "every run with all values of its record", _build)
