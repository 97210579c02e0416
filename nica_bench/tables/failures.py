"""The runs that failed or that are missing, one row per cause."""

from __future__ import annotations

from typing import Any

from nica_bench.records.collection import Collection
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series, blocks_of
from nica_bench.stats.blocks import seed_text
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Table

__all__ = ["KIND"]


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(collection.records)
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    not_run: list[tuple[str, str, list[int]]] = []
    for block in blocks:
        for series in block.series:
            for record in series.records.values():
                if record.status is not Status.OK:
                    why = record.message.splitlines()[0] if record.message else "no message"
                    groups.setdefault((block.scenario, series.method, record.status.value, why), []).append(record)
            if lacking := _lacking(block, series):
                not_run.append((block.scenario, series.method, lacking))
    rows: list[dict[str, Any]] = [
        {
            "scenario": scenario,
            "method": method,
            "status": status,
            "runs": len(records),
            "seeds": seed_text([r.spec.seed for r in records]),
            "message": why,
            "key": records[0].spec.short,
        }
        for (scenario, method, status, why), records in groups.items()
    ]
    rows += [
        {
            "scenario": scenario,
            "method": method,
            "status": "not run",
            "runs": len(seeds),
            "seeds": seed_text(seeds),
            "message": "there is no record, but other methods have one",
            "key": "",
        }
        for scenario, method, seeds in not_run
    ]
    rows.sort(key=lambda r: (r["scenario"], r["method"], r["status"], r["seeds"]))
    if not rows:
        notes.append("no run failed and none is missing")
    caption = "One row per cause. key is that of the first such run; `nica-bench show KEY` prints its record."
    return [Table("failures", _COLUMNS, rows, caption, key="table")], notes


def _lacking(block: Block, series: Series) -> list[int]:
    return [
        seed
        for seed in block.seeds
        for training_seed in series.training_seeds
        if (seed, training_seed) not in series.records
    ]


_COLUMNS = (
    Column("scenario", lambda r: r["scenario"], right=False, wrap=True, drop=1),
    Column("method", lambda r: r["method"], right=False),
    Column("status", lambda r: r["status"], right=False),
    Column("runs", lambda r: str(r["runs"]), lambda r: r["runs"]),
    Column("seeds", lambda r: r["seeds"], right=False),
    Column("message", lambda r: r["message"], right=False, wrap=True),
    Column("key", lambda r: r["key"], right=False, drop=2),
)

KIND = TableKind("failures", "runs that failed or are missing, by cause", _build)
