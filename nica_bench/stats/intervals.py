"""Aggregates over seeds, each with a 95 % interval.

Bootstrap intervals are percentile intervals, which are too narrow with few seeds. For scores of which a fifth are
failures, the interval of the median covers the true value in .75 of samples of 3, .94 of 5 and .95 of 10; that of the
IQM in .74, .89 and .93; that of the mean in .47, .64 and .79 (`benchmarks/coverage.py`). Tables therefore show the
number of datasets beside every interval.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nica_bench.seeds import Streams

__all__ = [
    "LEVEL",
    "Estimate",
    "checked",
    "iqm",
    "iqm_interval",
    "mean_interval",
    "median_interval",
    "resampled",
    "success_rate",
    "wilson",
]

Values = NDArray[np.float64]

LEVEL = 0.95
"""The confidence level of all intervals."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval.

    Args:
        value: the estimate.
        low, high: the ends of the interval; a percentile interval nearly always contains the value, but need not.
        count: the number of values that the estimate is made from.

    Raises:
        ValueError: if a number is not finite, the ends are in the wrong order or count is below 1.
    """

    value: float
    low: float
    high: float
    count: int

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.value, self.low, self.high)):
            raise ValueError(f"expected finite numbers, got {self.value} [{self.low}, {self.high}]")
        if self.low > self.high or self.count < 1:
            raise ValueError(
                f"expected low <= high and count >= 1, got [{self.low}, {self.high}] and count {self.count}"
            )

    @property
    def single(self) -> bool:
        """Whether it is made from one value, so that the bootstrap interval says nothing about the spread."""
        return self.count == 1


def median_interval(
    values: ArrayLike, strata: ArrayLike | None = None, *, seed: int = 0, resamples: int = 2000
) -> Estimate:
    """Return the median with a percentile bootstrap interval.

    Args:
        values: scores, shape (n,), n >= 1, finite.
        strata: group of each score, shape (n,); every resample then takes as many scores from each group as there are.
        seed: the seed of the resampling.
        resamples: the number of resamples.

    Raises:
        ValueError: if there are no values, one is not finite, or a shape is wrong.
    """
    scores = checked(values)
    groups = np.zeros(len(scores), dtype=np.intp) if strata is None else _groups(strata, len(scores))
    drawn = _medians(scores, _counts(groups.tobytes(), seed, resamples))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(np.median(scores)), float(low), float(high), len(scores))


def mean_interval(
    values: ArrayLike, strata: ArrayLike | None = None, *, seed: int = 0, resamples: int = 2000
) -> Estimate:
    """Return the mean with a percentile bootstrap interval; arguments and errors as for `median_interval`."""
    return _bootstrap(values, _mean, strata, seed, resamples)


def iqm_interval(
    values: ArrayLike, strata: ArrayLike | None = None, *, seed: int = 0, resamples: int = 2000
) -> Estimate:
    """Return the interquartile mean with a percentile bootstrap interval (Agarwal et al. 2021, "Deep RL at the edge of
    the statistical precipice"); arguments and errors as for `median_interval`.
    """
    return _bootstrap(values, iqm, strata, seed, resamples)


def iqm(values: Values) -> Values:
    """Return the interquartile mean, the mean without the lowest and the highest quarter of the values, rounded down.

    Args:
        values: shape (..., n), n >= 1.

    Returns:
        Shape (...).
    """
    cut = values.shape[-1] // 4
    return np.asarray(np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1))


def success_rate(values: ArrayLike, threshold: float) -> Estimate:
    """Return the share of values that reach a threshold, with the Wilson score interval (Wilson 1927).

    A failed run is no success: its score is passed as 0, not left out.

    Args:
        values: scores, shape (n,), n >= 1, finite.
        threshold: a value equal to it is a success.

    Returns:
        An estimate in [0, 1]. Unlike a bootstrap interval it has a width even if all succeed or all fail.

    Raises:
        ValueError: if there are no values, one is not finite, or the shape is wrong.
    """
    return wilson((checked(values) >= threshold).astype(np.float64))


def wilson(successes: ArrayLike) -> Estimate:
    """Return the mean of successes with the Wilson score interval (Wilson 1927).

    Args:
        successes: shape (n,), n >= 1, each in [0, 1]: 0 or 1, or the share of a dataset's training seeds that
            succeeded. Datasets are independent, so n is the number of datasets, not that of training seeds.

    Raises:
        ValueError: if there are none, or one is not in [0, 1].
    """
    scores = checked(successes)
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError(f"expected shares in [0, 1], got {scores.min():g} to {scores.max():g}")
    count = len(scores)
    share = float(scores.mean())
    z2 = NormalDist().inv_cdf((1 + LEVEL) / 2) ** 2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    # In exact arithmetic the ends lie in [0, 1] and around the share; rounding may put them 1e-17 beyond.
    return Estimate(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)), count)


def resampled(count: int, strata: ArrayLike | None, seed: int, resamples: int) -> NDArray[np.intp]:
    """Return the indices of bootstrap resamples.

    Args:
        count: number of values, n.
        strata: group of each value, shape (n,), or None for one group; every resample takes as many from each group as
            there are.
        seed: the seed of the resampling.
        resamples: the number of resamples, >= 1.

    Returns:
        Shape (resamples, n), in 0..n-1.

    Raises:
        ValueError: if there is no resample, or the strata have another shape.
    """
    if resamples < 1:
        raise ValueError(f"expected at least 1 resample, got {resamples}")
    groups = np.zeros(count, dtype=np.intp) if strata is None else _groups(strata, count)
    rng = Streams(seed).numpy("bootstrap")
    columns = []
    for group in range(int(groups.max()) + 1):
        members = np.flatnonzero(groups == group)
        columns.append(members[rng.integers(0, len(members), (resamples, len(members)))])
    return np.concatenate(columns, axis=1)


@functools.lru_cache(maxsize=4)
def _counts(groups: bytes, seed: int, resamples: int) -> NDArray[np.signedinteger[Any]]:
    """Return how often each value is in each resample, shape (n, resamples); it is the same for all n datasets."""
    strata = np.frombuffer(groups, dtype=np.intp)
    drawn = resampled(len(strata), strata, seed, resamples)
    counts = np.zeros((len(strata), resamples), dtype=np.int16 if len(strata) < 2**15 else np.int32)
    np.add.at(counts, (drawn, np.arange(resamples)[:, None]), 1)
    return counts


def _medians(scores: Values, counts: NDArray[np.signedinteger[Any]]) -> Values:
    """Return the median of each resample, equal to the last bit to that of the drawn values, without drawing them.

    Args:
        scores: shape (n,).
        counts: from `_counts`. The resamples are the last axis, so that each step works on contiguous numbers.
    """
    order = np.argsort(scores, kind="stable")
    reached = counts[order]
    for i in range(1, len(reached)):  # several times faster than np.cumsum along this axis
        reached[i] += reached[i - 1]
    count = len(scores)
    lower, upper = ((reached <= k).sum(axis=0) for k in ((count - 1) // 2, count // 2))
    ordered = scores[order]
    return np.asarray((ordered[lower] + ordered[upper]) / 2)


def _bootstrap(
    values: ArrayLike,
    statistic: Callable[[Values], Values],
    strata: ArrayLike | None,
    seed: int,
    resamples: int,
) -> Estimate:
    scores = checked(values)
    drawn = statistic(scores[resampled(len(scores), strata, seed, resamples)])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(statistic(scores)), float(low), float(high), len(scores))


def _groups(strata: ArrayLike, count: int) -> NDArray[np.intp]:
    labels = np.asarray(strata)
    if labels.shape != (count,):
        raise ValueError(f"expected one stratum per value, shape ({count},), got {labels.shape}")
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.intp)


def checked(values: ArrayLike) -> Values:
    """Return values as an array of shape (n,). Raises ValueError if there are none or one is not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"expected at least one value, in one dimension, got shape {array.shape}")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ValueError(f"expected finite values, got {bad} of {array.size} that are not")
    return array


def _mean(values: Values) -> Any:
    return values.mean(axis=-1)
