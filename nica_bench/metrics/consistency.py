"""Consistency over initialisations: the identifiability that can be had without a truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics.correlation import Matrix, correlation, remove_condition_means
from nica_bench.metrics.mcc import match, mean_correlation

__all__ = ["Consistency", "consistency"]

_SHUFFLES = 20


@dataclass(frozen=True)
class Consistency:
    """How far two fits agree on what their leading codes are.

    Args:
        mcc: mean correlation of matched codes, in [-1, 1].
        within: the same after the class means are removed.
        chance: of `mcc` with rows shuffled within each class: what codes reach that share nothing but the classes.
    """

    mcc: float
    within: float
    chance: float


def consistency(a: NDArray[Any], b: NDArray[Any], u: NDArray[np.integer[Any]], rng: np.random.Generator) -> Consistency:
    """MCC between two fits' leading codes of the same images, matched and signed on one half, scored on the other.

    Args:
        a, b: leading codes, shapes (N, k) and (N, k'); divided by the larger of the two.
        u: labels of the same images, shape (N,).
        rng: for the split into halves and for the shuffles.

    Raises:
        ValueError: if the rows differ in number or are fewer than 4.
    """
    if not len(a) == len(b) == len(u) >= 4:
        raise ValueError(f"expected codes of the same 4 images or more, got {len(a)}, {len(b)} and {len(u)} labels")
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    order = rng.permutation(len(u))
    halves = np.array_split(order, 2)
    a, b = a.astype(np.float64), b.astype(np.float64)
    chance = [abs(_mcc(a, b[_shuffled(u, rng)], halves)) for _ in range(_SHUFFLES)]
    within = _mcc(remove_condition_means(a, u), remove_condition_means(b, u), halves)
    return Consistency(_mcc(a, b, halves), within, float(np.mean(chance)))


def _mcc(a: Matrix, b: Matrix, halves: list[NDArray[np.intp]]) -> float:
    first, second = halves
    assignment = match(correlation(a[first], b[first]), np.arange(b.shape[1]))
    return mean_correlation(assignment.read(correlation(a[second], b[second])))


def _shuffled(u: NDArray[np.integer[Any]], rng: np.random.Generator) -> NDArray[np.intp]:
    """An order of the rows that leaves each row's class as it is."""
    order = np.arange(len(u))
    for c in np.unique(u):
        rows = np.flatnonzero(u == c)
        order[rows] = rng.permutation(rows)
    return order
