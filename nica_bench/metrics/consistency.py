"""Consistency between training seeds: a test of identifiability that needs no true latents."""

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
    """The agreement of two fits on their leading codes.

    Args:
        mcc: the mean correlation of matched codes, in [-1, 1].
        within: the same after the class means are removed.
        chance: the mean |mcc| with rows shuffled within each class, the level of codes that share the classes only.
    """

    mcc: float
    within: float
    chance: float


def consistency(a: NDArray[Any], b: NDArray[Any], u: NDArray[np.integer[Any]], rng: np.random.Generator) -> Consistency:
    """Return the MCC between the leading codes of two fits, matched on half of the images and scored on the rest.

    Args:
        a, b: leading codes of the same images, shapes (N, k) and (N, k'); the sum is divided by the larger of k and k'.
        u: classes of the images, shape (N,).
        rng: the generator of the split into halves and of the shuffles.

    Raises:
        ValueError: if the rows differ in number or are fewer than 4.
    """
    if not len(a) == len(b) == len(u) >= 4:
        raise ValueError(f"expected codes of the same images, 4 or more, got {len(a)}, {len(b)} and {len(u)} classes")
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
    """Return a permutation of the rows within their classes."""
    order = np.arange(len(u))
    for c in np.unique(u):
        rows = np.flatnonzero(u == c)
        order[rows] = rng.permutation(rows)
    return order
