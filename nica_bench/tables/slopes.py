"""The paper's Table 1: the slope of true on estimated latents, beside what the theory promises for each family."""

from __future__ import annotations

import statistics
from typing import Any

from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series, blocks_of, median_interval
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Table, number

__all__ = ["KIND"]

CAPTION = (
    "Natural coordinates (z, log z or logit z). |slope| of the true on the estimated latent: mean over a dataset's "
    "latents, median over datasets. off: median of ||slope| - 1|. theory: what a base of the latents' own family "
    "promises. loss, truth: held-out loss of the model and of the true density, nats a dimension, median; the model's "
    "data carry its augmentation noise."
)


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(r for r in collection.records if r.kind == "method" or "z" not in r.side_information)
    rows = []
    for block in blocks:
        rows += [row for series in block.series if (row := _row(block, series)) is not None]
    if not rows:
        raise UsageError(
            "no record has slopes in natural coordinates: run a family's scenario with coordinates=natural, "
            "e.g. gamma-2of10, and methods gin and gin-matched"
        )
    columns = (
        Column("scenario", lambda r: r["scenario"], right=False),
        Column("method", lambda r: r["method"], right=False),
        Column("theory", lambda r: r["theory"], right=False, drop=1),
        Column("|slope| [95 %]", _interval("slope"), lambda r: r["slope"]),
        Column("off [95 %]", _interval("slope_error"), lambda r: r["slope_error"]),
        Column("mcc", lambda r: number(r["mcc"]), lambda r: r["mcc"]),
        Column("loss", lambda r: _signed(r["loss"]), lambda r: r["loss"], drop=2),
        Column("truth", lambda r: _signed(r["oracle_loss"]), lambda r: r["oracle_loss"], drop=3),
        Column("sets", lambda r: str(r["datasets"]), lambda r: r["datasets"]),
        Column("fail", lambda r: str(r["failed"]), lambda r: r["failed"], drop=4),
    )
    return [Table("slopes", columns, rows, CAPTION, section=lambda r: r["scenario"], key="table")], notes


def _row(block: Block, series: Series) -> dict[str, Any] | None:
    from nica_bench.latents import FAMILIES

    ok = [
        r
        for r in series.records.values()
        if r.status is Status.OK and r.scores.get("slope") is not None and _natural(r)
    ]
    if not ok or not series.is_method:
        return None
    family = str(ok[0].truth["family"])
    row: dict[str, Any] = {
        "scenario": block.scenario,
        "method": series.method,
        "family": family,
        "theory": FAMILIES[family].promise.expected if family in FAMILIES else "unknown",
    }
    for name in ("slope", "slope_error"):
        found = median_interval([v for r in ok if (v := r.scores[name]) is not None])
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    row["mcc"] = statistics.median(v for r in ok if (v := r.scores["mcc"]) is not None)
    row["loss"] = _median(r.training.get("heldout_loss") for r in ok)
    row["oracle_loss"] = _median(r.truth.get("oracle_loss") for r in ok)
    row["datasets"] = len({seed for seed, _ in series.records})
    row["failed"] = len(series.records) - len(ok)
    return row


def _natural(record: Record) -> bool:
    """Whether the codes were compared with the natural coordinate, which for the normal family is z itself."""
    return record.truth.get("coordinates") == "natural" or record.truth.get("family") == "normal"


def _median(values: Any) -> float | None:
    known = [float(v) for v in values if v is not None]
    return statistics.median(known) if known else None


def _interval(name: str) -> Any:
    return lambda r: f"{number(r[name], 2)} [{number(r[f'{name}_low'], 2)} {number(r[f'{name}_high'], 2)}]"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


KIND = TableKind("slopes", "the scale of the estimated latents, beside what the theory promises (Table 1)", _build)
