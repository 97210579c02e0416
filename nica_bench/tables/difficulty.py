"""The difficulty of the datasets of each scenario: how nonlinear the mixing is and what linear methods reach."""

from __future__ import annotations

import math
import statistics
from typing import Any

from nica_bench.metrics.difficulty import DIFFICULTY
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record
from nica_bench.stats import blocks_of
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Table, number

__all__ = ["KIND"]


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(collection.records)
    rows = []
    measures: dict[str, None] = {}
    for block in blocks:
        by_seed: dict[int, Record] = {}
        for series in block.series:
            for (seed, _), record in series.records.items():
                if record.difficulty:  # it does not depend on the method; a failed run has none
                    by_seed.setdefault(seed, record)
        if not by_seed:
            notes.append(f"{block.scenario}: no record says how hard its datasets are")
        row: dict[str, Any] = {"scenario": block.scenario, "datasets": len(by_seed)}
        for name in dict.fromkeys(n for r in by_seed.values() for n in r.difficulty):
            values = [v for r in by_seed.values() if (v := r.difficulty.get(name)) is not None]
            if values:
                measures[name] = None
                row |= {name: statistics.median(values), f"{name}_low": min(values), f"{name}_high": max(values)}
        rows.append(row)
    names = [f"{m}{end}" for m in measures for end in ("", "_low", "_high")]
    rows = [{**dict.fromkeys(names), **row} for row in rows]
    rows = [{key: row[key] for key in ("scenario", "datasets", *names)} for row in rows]
    columns = [Column("scenario", lambda r: r["scenario"], right=False, wrap=True)]
    columns += [Column(name, _range(name), _value(name), drop=i) for i, name in enumerate(measures)]
    columns += [Column("datasets", lambda r: str(r["datasets"]), lambda r: r["datasets"])]
    known = "; ".join(f"{name}: {DIFFICULTY[name]}" for name in measures if name in DIFFICULTY)
    caption = f"A value is the median over datasets, with the smallest and the largest in parentheses. {known}."
    return [Table("difficulty", tuple(columns), rows, caption, key="table")], notes


def _range(name: str) -> Any:
    return lambda row: (
        "-"
        if row[name] is None
        else f"{_three_digits(row[name])} ({_three_digits(row[f'{name}_low'])} {_three_digits(row[f'{name}_high'])})"
    )


def _value(name: str) -> Any:
    return lambda row: row[name]


def _three_digits(value: float) -> str:
    return number(value, max(0, 3 - (0 if abs(value) < 1 else 1 + int(math.log10(abs(value))))))


KIND = TableKind("difficulty", "the difficulty of the datasets of each scenario", _build)
