"""The paper's Table 1: the slope of true on estimated latents, and the slope that the theory predicts per family."""

from __future__ import annotations

import statistics
from typing import Any

from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series, blocks_of, median_interval
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Table, bracket_of, number

__all__ = ["KIND"]

CAPTION = (
    "Latents are compared in natural coordinates (z, log z or logit z). |slope| is the absolute slope of the true on "
    "the estimated latent, the mean over the latents of a dataset and the median over datasets. theory is what the "
    "theory promises for a base distribution of the latents' own family. error is the median of ||slope| - 1|. loss "
    "is the held-out loss of the model and true loss that of the true density, medians in nats per dimension; the "
    "model's data include its augmentation noise. failed is the number of runs without a slope."
)


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(r for r in collection.records if r.kind == "method" or "z" not in r.side_information)
    rows = []
    for block in blocks:
        rows += [row for series in block.series if (row := _row(block, series)) is not None]
    if not rows:
        raise UsageError(
            "no record has slopes in natural coordinates: run a scenario with coordinates=natural, "
            "e.g. gamma-2of10, with the methods gin and gin-matched"
        )
    columns = (
        Column("scenario", lambda r: r["scenario"], right=False, wrap=True),
        Column("method", lambda r: r["method"], right=False),
        Column("theory", lambda r: r["theory"], right=False, drop=1, wrap=True),
        Column("|slope| [95 %]", bracket_of("slope", 2), lambda r: r["slope"]),
        Column("error [95 %]", bracket_of("slope_error", 2), lambda r: r["slope_error"]),
        Column("MCC", lambda r: number(r["mcc"]), lambda r: r["mcc"]),
        Column("loss", lambda r: _signed(r["loss"]), lambda r: r["loss"], drop=2),
        Column("true loss", lambda r: _signed(r["true_loss"]), lambda r: r["true_loss"], drop=3),
        Column("datasets", lambda r: str(r["datasets"]), lambda r: r["datasets"], drop=5),
        Column("failed", lambda r: str(r["failed"]), lambda r: r["failed"], drop=4),
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
    row["true_loss"] = _median(r.truth.get("oracle_loss") for r in ok)
    row["datasets"] = len({seed for seed, _ in series.records})
    row["failed"] = len(series.records) - len(ok)
    return row


def _natural(record: Record) -> bool:
    """Whether the codes were compared with natural coordinates, which are z itself for the normal family."""
    return record.truth.get("coordinates") == "natural" or record.truth.get("family") == "normal"


def _median(values: Any) -> float | None:
    known = [float(v) for v in values if v is not None]
    return statistics.median(known) if known else None


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


KIND = TableKind(
    "slopes", "slopes between true and estimated latents, and those that the theory predicts (Table 1)", _build
)
