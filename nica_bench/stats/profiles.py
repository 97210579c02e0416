"""Performance profiles: for every threshold the share of datasets on which the score of a method is above it.

A median hides the lower half of the scores. If two profiles do not cross, the method with the upper one is better at
every threshold (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice", section 4.2).
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
        share: the share of the scores above tau, shape (t,), falling from 1 to 0.
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
    """Return the share of scores strictly above each threshold, with a percentile bootstrap band.

    The band is pointwise: it covers the true value at each threshold in 95 % of samples, at all at once in fewer.

    Args:
        values: scores, shape (n,), n >= 1, finite.
        thresholds: shape (t,).
        strata: group of each score, shape (n,); every resample takes as many scores from each group as there are.
        seed: the seed of the resampling.
        resamples: the number of resamples.

    Raises:
        ValueError: if there are no values, one is not finite, or a shape is wrong.
    """
    scores = checked(values)
    tau = np.asarray(thresholds, dtype=np.float64)
    if tau.ndim != 1 or not np.isfinite(tau).all():
        raise ValueError(f"expected finite thresholds in one dimension, got shape {tau.shape}")
    above = (scores[:, None] > tau).astype(np.float64)
    count = len(scores)
    # The profile of a resample is a mean of columns weighted by how often each score was drawn: one matrix product.
    drawn = resampled(count, strata, seed, resamples)
    offsets = np.arange(resamples)[:, None] * count
    times = np.bincount((drawn + offsets).ravel(), minlength=resamples * count).reshape(resamples, count)
    low, high = np.quantile(times @ above / count, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Profile(tau, above.mean(0), low, high, count)
