"""Performance profiles: for every threshold the share of datasets on which a method is above it.

A median hides what the bad half does. Of two profiles that don't cross, the upper method is better whatever threshold
one cares for (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice", section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nica_bench.stats.intervals import LEVEL, checked, resampled

__all__ = ["Profile", "performance_profile"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """A performance profile with a pointwise 95 % band.

    Args:
        thresholds: tau, shape (t,).
        share: of the scores above tau, shape (t,), falling from 1 to 0.
        low, high: ends of the band at each tau, shape (t,).
        count: number of scores.
    """

    thresholds: Values
    share: Values
    low: Values
    high: Values
    count: int


def performance_profile(
    values: ArrayLike,
    thresholds: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Profile:
    """Share of scores strictly above each threshold, with a percentile bootstrap band.

    The band is pointwise: at any one threshold it holds the truth in 95 % of samples, at all of them at once in fewer.

    Args:
        values: scores, shape (n,), n >= 1, finite.
        thresholds: shape (t,).
        strata: group of each score, shape (n,); every resample takes as many scores from each group as there are.
        seed: of the resampling.
        resamples: how many.

    Raises:
        ValueError: if there are no values, one is not finite, or a shape is wrong.
    """
    scores = checked(values)
    tau = np.asarray(thresholds, dtype=np.float64)
    if tau.ndim != 1 or not np.isfinite(tau).all():
        raise ValueError(f"expected finite thresholds in one dimension, got shape {tau.shape}")
    above = (scores[:, None] > tau).astype(np.float64)
    count = len(scores)
    # How often each score was drawn says all: a resample's profile is a weighted mean of columns, one matrix product.
    drawn = resampled(count, strata, seed, resamples)
    offsets = np.arange(resamples)[:, None] * count
    times = np.bincount((drawn + offsets).ravel(), minlength=resamples * count).reshape(resamples, count)
    low, high = np.quantile(times @ above / count, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Profile(tau, above.mean(0), low, high, count)
