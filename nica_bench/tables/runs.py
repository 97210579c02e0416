"""How hard the datasets were, what failed and why, how to make each row again, and all runs as they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

from nica_bench.metrics.difficulty import DIFFICULTY
from nica_bench.records.collection import Collection
from nica_bench.records.command import command_again
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series, blocks_of, frame_of
from nica_bench.stats.blocks import seed_text
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Row, Table, number

__all__ = ["CELLS", "DIFFICULTIES", "FAILURES", "REPRODUCE", "command_of"]

Answer = tuple[list[Table], list[str]]


def _difficulty(collection: Collection, query: Query) -> Answer:
    blocks, notes = blocks_of(collection.records)
    rows = []
    measures: dict[str, None] = {}
    for block in blocks:
        by_seed: dict[int, Record] = {}
        for series in block.series:
            for (seed, _), record in series.records.items():
                if record.difficulty:  # the same whatever the method; a run that failed has none
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
    columns += [Column("sets", lambda r: str(r["datasets"]), lambda r: r["datasets"])]
    known = "; ".join(f"{name}: {DIFFICULTY[name]}" for name in measures if name in DIFFICULTY)
    caption = f"Median over datasets and the range, smallest to largest. {known}."
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


def _failures(collection: Collection, query: Query) -> Answer:
    blocks, notes = blocks_of(collection.records)
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    missing: list[tuple[str, str, list[int]]] = []
    for block in blocks:
        for series in block.series:
            for record in series.records.values():
                if record.status is not Status.OK:
                    why = record.message.splitlines()[0] if record.message else "no message"
                    groups.setdefault((block.scenario, series.method, record.status.value, why), []).append(record)
            if lacking := _lacking(block, series):
                missing.append((block.scenario, series.method, lacking))
    rows: list[dict[str, Any]] = [
        {
            "scenario": scenario,
            "method": method,
            "status": status,
            "cells": len(records),
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
            "status": "missing",
            "cells": len(seeds),
            "seeds": seed_text(seeds),
            "message": "no record, but others have one",
            "key": "",
        }
        for scenario, method, seeds in missing
    ]
    rows.sort(key=lambda r: (r["scenario"], r["method"], r["status"], r["seeds"]))
    if not rows:
        notes.append("nothing failed and nothing is missing")
    caption = "One row for each cause. key: of the first such run; `nica-bench show KEY` prints its record."
    return [Table("failures", _FAILURE_COLUMNS, rows, caption, key="table")], notes


def _lacking(block: Block, series: Series) -> list[int]:
    return [
        seed
        for seed in block.seeds
        for training_seed in series.training_seeds
        if (seed, training_seed) not in series.records
    ]


_FAILURE_COLUMNS = (
    Column("scenario", lambda r: r["scenario"], right=False, wrap=True, drop=1),
    Column("method", lambda r: r["method"], right=False),
    Column("status", lambda r: r["status"], right=False),
    Column("cells", lambda r: str(r["cells"]), lambda r: r["cells"]),
    Column("seeds", lambda r: r["seeds"], right=False),
    Column("message", lambda r: r["message"], right=False, wrap=True),
    Column("key", lambda r: r["key"], right=False, drop=2),
)


def command_of(series: Series) -> str:
    """The command that makes the records of a series again, for a shell."""
    seeds = seed_text([seed for seed, _ in series.records])
    return command_again(series.first, seeds, max(series.training_seeds) + 1)


def _reproduce(collection: Collection, query: Query) -> Answer:
    blocks, notes = blocks_of(collection.records)
    rows: list[dict[str, Any]] = []
    for block in blocks:
        for series in block.series:
            rows.append(
                {
                    "scenario": block.scenario,
                    "method": series.method,
                    "cells": len(series.records),
                    "version": f"{series.first.spec.scenario_version}/{series.first.spec.method_version}",
                    "commit": _commits(series.records.values()),
                    "command": command_of(series),
                }
            )
    columns = (
        Column("scenario", lambda r: r["scenario"], right=False, wrap=True, drop=2),
        Column("method", lambda r: r["method"], right=False),
        Column("cells", lambda r: str(r["cells"]), lambda r: r["cells"]),
        Column("version", lambda r: r["version"], right=False, drop=3),
        Column("commit", lambda r: r["commit"], right=False, drop=1),
        Column("command", lambda r: r["command"], right=False, wrap=True, code=True),
    )
    caption = "version: of the scenario and of the method; commit: of the code, with + where it was changed."
    return [Table("commands", columns, rows, caption, key="table")], notes


def _commits(records: Iterable[Record]) -> str:
    found = dict.fromkeys(
        f"{git['commit'][:10]}{'+' if git.get('dirty') else ''}" if (git := r.provenance.get("git")) else "none"
        for r in records
    )
    return ", ".join(found)


def _cells(collection: Collection, query: Query) -> Answer:
    frame = frame_of(collection.records)
    values = frame.astype(object).where(frame.notna(), None)
    rows: list[Row] = [dict(zip(frame.columns, row, strict=True)) for row in values.itertuples(index=False, name=None)]
    columns = [
        Column("key", lambda r: r["key"][:12], right=False),
        Column("scenario", lambda r: r["scenario"], right=False, wrap=True, drop=1),
        Column("method", lambda r: r["method"], right=False),
        Column("seed", lambda r: str(r["seed"]), lambda r: r["seed"]),
        Column("init", lambda r: str(r["init"]), lambda r: r["init"]),
        Column("status", lambda r: r["status"], right=False),
        Column("mcc", lambda r: number(r["mcc"]), lambda r: r["mcc"]),
    ]
    caption = "Every run; csv, json and parquet hold all that a record says."
    return [Table("cells", columns, rows, caption, key="table")], []


DIFFICULTIES = TableKind("difficulty", "how hard each scenario's datasets are", _difficulty)
FAILURES = TableKind("failures", "what failed or is missing, and why", _failures)
REPRODUCE = TableKind("commands", "the command that makes each row again", _reproduce)
CELLS = TableKind("cells", "every run with all that its record says", _cells)
