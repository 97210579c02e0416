"""Seconds a dataset: of one machine their mean, of several the range of their means."""

from __future__ import annotations

import math
from typing import Any

from nica_bench.records.collection import machine_of
from nica_bench.stats import Series, quantity
from nica_bench.tables.table import Row

__all__ = ["mean_seconds", "seconds_text"]


def mean_seconds(series: Series) -> dict[str, float | None]:
    """Mean seconds a dataset; where the records come from several machines, the range of the machines' own means."""
    by_machine: dict[tuple[Any, ...], list[float]] = {}
    values = series.numbers(quantity("seconds")).tolist()
    for record, value in zip(series.records.values(), values, strict=True):
        if not math.isnan(value):
            by_machine.setdefault(machine_of(record), []).append(value)
    means = [sum(values) / len(values) for values in by_machine.values()]
    if not means:
        return dict.fromkeys(("seconds", "seconds_low", "seconds_high"))
    return {"seconds": means[0] if len(means) == 1 else None, "seconds_low": min(means), "seconds_high": max(means)}


def seconds_text(row: Row) -> str:
    """What a table shows of a row that holds `mean_seconds`."""
    low, high = row["seconds_low"], row["seconds_high"]
    if low is None:
        return "-"
    return f"{low:.1f}" if row["seconds"] is not None else f"{low:.1f}-{high:.1f}"
