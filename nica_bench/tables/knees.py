"""The number of latents by every rule, a row a fit: how far the rules agree, and two initialisations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nica_bench.errors import UsageError
from nica_bench.metrics.knee import INTERVAL_RULES, RULES, WIDE_DEFAULT, WIDE_RULES, knee_interval
from nica_bench.records.collection import Collection
from nica_bench.records.record import Status
from nica_bench.stats import blocks_of
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Row, Table

__all__ = ["KIND"]

CAPTION = (
    "Number of latents by every rule, from each method's own ranking; methods that are told a number have none. Of "
    f"wide spectra [] is the smallest and the largest answer of {', '.join(INTERVAL_RULES)}; {WIDE_DEFAULT}, the "
    "largest log gap past the first five values, is what the eye sees. moved: how far the knee of the codes' sd, which "
    "not every method ranks by, moved over the last half of training. n: the true number, where it is known."
)


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(collection.records)
    rows: list[dict[str, Any]] = []
    for block in blocks:
        for series in block.series:
            for (seed, training_seed), record in sorted(series.records.items()):
                if record.status is not Status.OK or "n" in record.side_information or not record.dimensions:
                    continue
                found = record.dimensions
                low, high = knee_interval(found) if found.keys() >= WIDE_RULES.keys() else (None, None)
                rows.append(
                    {
                        "scenario": block.scenario,
                        "method": series.method,
                        "seed": seed,
                        "init": training_seed,
                        "latents": block.n_latents,
                        **{rule: found.get(rule) for rule in WIDE_RULES},
                        "low": low,
                        "high": high,
                        "moved": record.scores.get("knee_moved"),
                    }
                )
    if not rows:
        raise UsageError("no record estimates a number of latents: no method that is not told it has finished")
    # the rules for wide spectra are asked of images only
    rules = [rule for rule in WIDE_RULES if rule in RULES or any(row[rule] is not None for row in rows)]
    wide = any(row["low"] is not None for row in rows)
    columns = (
        Column("scenario", lambda r: r["scenario"], right=False),
        Column("method", lambda r: r["method"], right=False),
        Column("seed", lambda r: str(r["seed"]), lambda r: r["seed"]),
        Column("init", lambda r: str(r["init"]), lambda r: r["init"], drop=1),
        *(Column(rule, _whole(rule), _value(rule), drop=2 + (rule in RULES)) for rule in rules),
        *((Column("interval", _interval, _value("low")),) if wide else ()),
        *((Column("moved", _whole("moved"), _value("moved")),) if wide else ()),
        Column("n", _whole("latents"), _value("latents")),
    )
    table = Table("knees", columns, rows, CAPTION, section=lambda r: (r["scenario"], r["method"]), key="table")
    return [table], notes


def _value(name: str) -> Callable[[Row], float | None]:
    return lambda row: row[name]


def _whole(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else f"{row[name]:.0f}"


def _interval(row: Row) -> str:
    return "-" if row["low"] is None else f"[{row['low']} {row['high']}]"


KIND = TableKind("knees", "the number of latents by every rule, a row a fit", _build)
