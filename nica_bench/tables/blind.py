"""The overview of a scenario whose latents nobody knows: what can be said of a method all the same."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics import Consistency, consistency
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series
from nica_bench.tables.seconds import mean_seconds, seconds_text
from nica_bench.tables.table import Column, Row, Table, number

__all__ = ["Arrays", "blind_rows", "blind_table"]

Arrays = Callable[[Record], Mapping[str, NDArray[Any]]]
"""The arrays of a record by name."""

LEGEND = (
    "Nobody knows the latents here, so what compares codes with them is not applicable. told: u conditions, n "
    "dimension. knee: number of latents by the largest log gap past the first five of the method's own ranking, in [] "
    "the smallest and largest of five rules (--kind knees). moved: how far the knee of the codes' sd moved over the "
    "last half of training. Of several initialisations the lower median, the union of the intervals, the largest "
    "movement. bits: of the test images with noise .01, a dimension. bayes: accuracy of naive Bayes on all codes, and "
    "on the leading 22. probe: of a linear probe on the leading 22. again: mean correlation with the leading codes of "
    "another initialisation, in () its chance level, and of how many codes."
)
NAMES = (
    "bits",
    "knee",
    "knee_low",
    "knee_high",
    "knee_moved",
    "bayes",
    "bayes_knee",
    "bayes_22",
    "probe_22",
)


def blind_rows(block: Block, arrays: Arrays | None) -> list[dict[str, Any]]:
    """A row a method, methods before baselines, lowest bits first.

    Args:
        block: of a scenario whose latents nobody knows.
        arrays: gives the arrays of a record, from which initialisations are compared; None leaves that out.
    """
    rows = [_row(series, arrays) for series in block.series]
    infinite = float("inf")
    return sorted(
        rows, key=lambda r: (r["kind"] != "method", infinite if r["bits"] is None else r["bits"], r["method"])
    )


def blind_table(title: str, rows: Sequence[Row]) -> Table:
    """The table of rows of `blind_rows`; what is not applicable is n/a."""
    columns = (
        Column("method", lambda r: r["method"], right=False),
        Column("told", lambda r: r["told"], right=False),
        Column("knee", _knee, lambda r: r["knee"]),
        Column("moved", lambda r: _whole(r["knee_moved"]), lambda r: r["knee_moved"], drop=1),
        Column("bits", lambda r: _value(r["bits"]), lambda r: r["bits"]),
        Column("bayes", lambda r: _value(r["bayes"]), lambda r: r["bayes"]),
        Column("22", lambda r: _value(r["bayes_22"]), lambda r: r["bayes_22"], drop=3),
        Column("probe", lambda r: _value(r["probe_22"]), lambda r: r["probe_22"], drop=2),
        Column("again", _again, lambda r: r["consistency"]),
        Column("mcc", lambda r: "n/a", lambda r: None, drop=4),
        Column("s", seconds_text, lambda r: r["seconds_low"]),
        Column("fail", lambda r: f"{r['failed']}/{r['cells']}", lambda r: r["failed"]),
    )
    caption = LEGEND
    for published in sorted({r["published"] for r in rows if r["published"] is not None}):
        found = [r["method"] for r in rows if r["knee"] is not None and r["knee_low"] <= published <= r["knee_high"]]
        found = found or ["none"]
        caption += f" The paper counts {published} latents in these data: in the interval of {', '.join(found)}."
    images = sorted({r["images"] for r in rows if r["images"]})
    if images:
        caption += f" Images: {', '.join(images)}."
    return Table(title, columns, rows, caption, lambda r: (r["kind"] != "method", False), lambda r: False)


def _row(series: Series, arrays: Arrays | None) -> dict[str, Any]:
    done = [r for r in series.records.values() if r.status is Status.OK]
    found = _consistency(series, arrays) if arrays is not None else []
    return {
        "method": series.method,
        "kind": series.first.kind,
        "told": series.first.side_information or "-",
        **{name: _OVER.get(name, _median)(_values(done, name)) for name in NAMES},
        "consistency": _median([c.mcc for _, c in found]),
        "consistency_within": _median([c.within for _, c in found]),
        "consistency_chance": _median([c.chance for _, c in found]),
        "consistency_codes": min((k for k, _ in found), default=None),
        "pairs": len(found),
        "published": next((v for r in done if isinstance(v := r.truth.get("paper_latents"), int)), None),
        "images": next((str(v) for r in done if (v := r.truth.get("images"))), None),
        **mean_seconds(series),
        "failed": sum(r.status is not Status.OK for r in series.records.values()),
        "cells": len(series.records),
        "seeds": series.seeds,
        "mcc": None,
        "best": False,
    }


def _consistency(series: Series, arrays: Arrays) -> list[tuple[int, Consistency]]:
    """Of each two initialisations on the same data, and over how many leading codes.

    They are as many as the smaller knee says, or all where the method was told a number; at most those of the record.
    """
    by_seed: dict[int, list[Record]] = {}
    for (seed, _), record in sorted(series.records.items()):
        if record.status is Status.OK:
            by_seed.setdefault(seed, []).append(record)
    found = []
    for seed, records in by_seed.items():
        for a, b in itertools.combinations(records, 2):
            first, second = arrays(a), arrays(b)
            if "leading_codes" not in first or "leading_codes" not in second:
                continue
            knees = [int(v) for r in (a, b) if (v := r.scores.get("knee")) is not None]
            k = max(1, min([*knees, first["leading_codes"].shape[1], second["leading_codes"].shape[1]]))
            one, other, labels = first["leading_codes"][:, :k], second["leading_codes"][:, :k], first["leading_u"]
            if np.isfinite(one).all() and np.isfinite(other).all() and np.array_equal(labels, second["leading_u"]):
                found.append((k, consistency(one, other, labels, np.random.default_rng(seed))))
    return found


def _values(records: Sequence[Record], name: str) -> list[float]:
    return [v for r in records if (v := r.scores.get(name)) is not None]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


_OVER: dict[str, Callable[[Sequence[float]], float | None]] = {
    "knee": lambda values: statistics.median_low(values) if values else None,  # a number of codes is whole
    "knee_low": lambda values: min(values, default=None),
    "knee_high": lambda values: max(values, default=None),
    "knee_moved": lambda values: max(values, default=None),
}
"""How initialisations become one number of a row, where it is not their median."""


def _value(value: float | None) -> str:
    return "n/a" if value is None else number(value)


def _whole(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0f}"


def _knee(row: Row) -> str:
    if row["knee"] is None:
        return "n/a"
    return f"{row['knee']:.0f} [{row['knee_low']:.0f} {row['knee_high']:.0f}]"


def _again(row: Row) -> str:
    if row["consistency"] is None:
        return "n/a"
    return f"{number(row['consistency'])} ({number(row['consistency_chance'])}) of {row['consistency_codes']}"
