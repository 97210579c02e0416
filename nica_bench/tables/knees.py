"""The number of latents estimated by every rule, one row per run: how far rules and training seeds agree."""

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
    "The number of latents is estimated by every rule from the method's own ranking; methods that are given a number "
    "of latents estimate none. interval is, for wide spectra, the smallest and the largest answer of "
    f"{', '.join(INTERVAL_RULES)}. {WIDE_DEFAULT}, the largest log gap after the first five values, is the elbow that "
    "one sees in a plot. moved is how far the knee of the codes' std, by which not every method ranks, moved over "
    "the last half of training. n is the true number of latents, if it is known."
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
                        "training_seed": training_seed,
                        "n_latents": block.n_latents,
                        **{rule: found.get(rule) for rule in WIDE_RULES},
                        "knee_low": low,
                        "knee_high": high,
                        "knee_moved": record.scores.get("knee_moved"),
                    }
                )
    if not rows:
        raise UsageError("no record estimates a number of latents: no method that estimates it has finished")
    # the rules for wide spectra are applied to images only
    rules = [rule for rule in WIDE_RULES if rule in RULES or any(row[rule] is not None for row in rows)]
    wide = any(row["knee_low"] is not None for row in rows)
    columns = (
        Column("scenario", lambda r: r["scenario"], right=False, wrap=True),
        Column("method", lambda r: r["method"], right=False, wrap=True),
        Column("seed", lambda r: str(r["seed"]), lambda r: r["seed"]),
        Column("training seed", lambda r: str(r["training_seed"]), lambda r: r["training_seed"], drop=1),
        *(Column(rule, _whole(rule), _value(rule), drop=2 + (rule in RULES)) for rule in rules),
        *((Column("interval", _interval, _value("knee_low")),) if wide else ()),
        *((Column("moved", _whole("knee_moved"), _value("knee_moved")),) if wide else ()),
        Column("n", _whole("n_latents"), _value("n_latents")),
    )
    table = Table("knees", columns, rows, CAPTION, section=lambda r: (r["scenario"], r["method"]), key="table")
    return [table], notes


def _value(name: str) -> Callable[[Row], float | None]:
    return lambda row: row[name]


def _whole(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else f"{row[name]:.0f}"


def _interval(row: Row) -> str:
    return "-" if row["knee_low"] is None else f"[{row['knee_low']} {row['knee_high']}]"


KIND = TableKind("knees", "the number of latents estimated by every rule, one row per run", _build)
