"""The wall time per dataset: the mean on one machine, or the range of the means of several machines."""

from __future__ import annotations

import math
from typing import Any

from nica_bench.records.collection import machine_of
from nica_bench.stats import Series, quantity
from nica_bench.tables.table import Column, Row

__all__ = ["TIME", "mean_seconds"]


def mean_seconds(series: Series) -> dict[str, float | None]:
    """Return the mean seconds per dataset, and the smallest and the largest mean of a machine.

    The mean itself is None if the records come from several machines, since their times are not comparable.
    """
    by_machine: dict[tuple[Any, ...], list[float]] = {}
    values = series.numbers(quantity("seconds")).tolist()
    for record, value in zip(series.records.values(), values, strict=True):
        if not math.isnan(value):
            by_machine.setdefault(machine_of(record), []).append(value)
    means = [sum(values) / len(values) for values in by_machine.values()]
    if not means:
        return dict.fromkeys(("seconds", "seconds_low", "seconds_high"))
    return {"seconds": means[0] if len(means) == 1 else None, "seconds_low": min(means), "seconds_high": max(means)}


def _text(row: Row) -> str:
    low, high = row["seconds_low"], row["seconds_high"]
    if low is None:
        return "-"
    return f"{low:.1f}" if row["seconds"] is not None else f"{low:.1f}-{high:.1f}"


TIME = Column("time [s]", _text, lambda r: r["seconds_low"])
"""The column of a row that holds `mean_seconds`."""
