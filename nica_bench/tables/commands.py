"""The command that reproduces each row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nica_bench.records.collection import Collection
from nica_bench.records.command import command_again
from nica_bench.records.record import Record
from nica_bench.stats import Series, blocks_of
from nica_bench.stats.blocks import seed_text
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Table

__all__ = ["KIND", "command_of"]


def command_of(series: Series) -> str:
    """Return the shell command that computes the records of a series."""
    seeds = seed_text([seed for seed, _ in series.records])
    return command_again(series.first, seeds, max(series.training_seeds) + 1)


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(collection.records)
    rows: list[dict[str, Any]] = []
    for block in blocks:
        for series in block.series:
            rows.append(
                {
                    "scenario": block.scenario,
                    "method": series.method,
                    "runs": len(series.records),
                    "version": f"{series.first.spec.scenario_version}/{series.first.spec.method_version}",
                    "commit": _commits(series.records.values()),
                    "command": command_of(series),
                }
            )
    columns = (
        Column("scenario", lambda r: r["scenario"], right=False, wrap=True, drop=2),
        Column("method", lambda r: r["method"], right=False),
        Column("runs", lambda r: str(r["runs"]), lambda r: r["runs"]),
        Column("version", lambda r: r["version"], right=False, drop=3),
        Column("commit", lambda r: r["commit"], right=False, drop=1),
        Column("command", lambda r: r["command"], right=False, wrap=True, code=True),
    )
    caption = (
        "version is that of the scenario / that of the method. commit is that of the code; + marks uncommitted changes."
    )
    return [Table("commands", columns, rows, caption, key="table")], notes


def _commits(records: Iterable[Record]) -> str:
    found = dict.fromkeys(
        f"{git['commit'][:10]}{'+' if git.get('dirty') else ''}" if (git := r.provenance.get("git")) else "none"
        for r in records
    )
    return ", ".join(found)


KIND = TableKind("commands", "the command that reproduces each row", _build)
