"""What may be expected: every quantity of a record, and those that are read from its arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.latents import FAMILIES
from nica_bench.record import Record
from nica_bench.statistics.quantities import Quantity, quantities

__all__ = ["Arrays", "expected_quantities", "slope_error"]

Arrays = Callable[[Record], Mapping[str, NDArray[Any]]]
"""Gives the arrays of a record by name; none where it has none."""


@dataclass(frozen=True)
class _OfArrays:
    """A quantity that a record's arrays hold."""

    description: str
    low: float
    high: float
    of: Callable[[Record, Mapping[str, NDArray[Any]]], float | None]


def slope_error(record: Record, arrays: Mapping[str, NDArray[Any]]) -> float | None:
    """Mean distance over latents of |slope| from the nearest that theory promises (paper, Table 1).

    The slope is that of the true latent v, in the natural coordinate that was mixed, on the code matched to it: least
    squares over the test points that the record keeps. Its sign is free: a base density that is fitted to v and to -v
    cannot know it.

    Args:
        record: `truth` names the family and the coordinates.
        arrays: `z` (M, n) latents, `codes` (M, m), `assignment` (2, n): code index, below 0 for none, and sign.

    Returns:
        None where the theory promises no slope, another coordinate than the natural one was mixed, or a latent has no
        code.
    """
    family = FAMILIES.get(record.truth.get("family", ""))
    if family is None or not family.promise.slopes or record.truth.get("coordinates") != "natural":
        return None
    if not {"z", "codes", "assignment"} <= arrays.keys():
        return None
    v, codes = arrays["z"].astype(np.float64), arrays["codes"].astype(np.float64)
    matched = arrays["assignment"][0].astype(int)
    if (matched < 0).any():
        return None
    w = codes[:, matched] - codes[:, matched].mean(0)
    power = (w * w).sum(0)
    if not (power > 0).all():
        return None
    slopes = np.abs((w * v).sum(0) / power)
    promised = np.abs(family.promise.slopes)
    return float(np.abs(slopes[:, None] - promised).min(1).mean())


_OF_ARRAYS: Mapping[str, _OfArrays] = {
    "slope_error": _OfArrays(
        "mean distance of |slope of true on estimated latent| from what theory promises", 0, math.inf, slope_error
    )
}


def expected_quantities(arrays: Arrays = lambda record: {}) -> dict[str, Quantity]:
    """All quantities by name.

    Args:
        arrays: of the records that the quantities will be taken of.
    """

    def reader(of: Callable[[Record, Mapping[str, NDArray[Any]]], float | None]) -> Callable[[Record], float | None]:
        return lambda record: of(record, arrays(record))

    found = quantities()
    for name, q in _OF_ARRAYS.items():
        found.setdefault(name, Quantity(name, q.description, q.low, q.high, False, False, reader(q.of)))
    return found
