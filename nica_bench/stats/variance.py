"""Variance components: how much of the variance of a score comes from the data and how much from the training seed.

If a method fails on a dataset with every training seed, another method is needed; if it fails with some training seeds,
restarts help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nica_bench.errors import UsageError
from nica_bench.stats.intervals import LEVEL, Estimate, checked, resampled

__all__ = ["VarianceSplit", "split_variance"]


@dataclass(frozen=True)
class VarianceSplit:
    """Variance components of scores with training seeds nested in datasets.

    Args:
        data: the variance between datasets; 0 if they differ by no more than training seeds do.
        training: the variance between the training seeds of a dataset.
        share: data / (data + training) with a percentile bootstrap interval over datasets; 0 if both are 0.
        runs: the number of scores.
    """

    data: float
    training: float
    share: Estimate
    runs: int

    @property
    def datasets(self) -> int:
        """The number of datasets."""
        return self.share.count


def split_variance(scores: Mapping[int, Sequence[float]], *, seed: int = 0, resamples: int = 2000) -> VarianceSplit:
    """Return the variance components by the analysis of variance of a one-way random-effects model.

    With k datasets, n_i training seeds each and N = sum n_i: the mean squares within and between datasets have the
    expectations sigma_train^2 and sigma_train^2 + n0 sigma_data^2, n0 = (N - sum n_i^2 / N) / (k - 1)
    (Searle, Casella & McCulloch 1992, section 3.6). A negative estimate counts as 0.

    Args:
        scores: the scores of each dataset, one per training seed.
        seed: the seed of the resampling.
        resamples: the number of resamples.

    Raises:
        UsageError: if there are fewer than two datasets, or none has two training seeds.
        ValueError: if a score is not finite.
    """
    groups = [checked(values) for values in scores.values()]
    if len(groups) < 2 or all(len(g) < 2 for g in groups):
        most = max((len(g) for g in groups), default=0)
        raise UsageError(
            "expected at least two datasets and two training seeds of one of them, "
            f"got {len(groups)} datasets with at most {most} training seeds"
        )
    size = np.array([len(g) for g in groups], dtype=np.float64)
    mean = np.array([g.mean() for g in groups])
    squares = np.array([((g - g.mean()) ** 2).sum() for g in groups])
    data, training = _components(size[None], mean[None], squares[None])
    drawn = resampled(len(groups), None, seed, resamples)
    shares = _share(*_components(size[drawn], mean[drawn], squares[drawn]))
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    share = Estimate(float(_share(data, training)[0]), float(low), float(high), len(groups))
    return VarianceSplit(float(data[0]), float(training[0]), share, int(size.sum()))


Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _components(size: Array, mean: Array, squares: Array) -> tuple[Array, Array]:
    """Return the variances between and within datasets of each row: shapes (rows, k) to (rows,)."""
    total, k = size.sum(-1), size.shape[-1]
    grand = (size * mean).sum(-1, keepdims=True) / total[..., None]
    between = (size * (mean - grand) ** 2).sum(-1) / (k - 1)
    # A resample may hold only datasets with one training seed, which say nothing about the variance within.
    within = squares.sum(-1) / np.maximum(total - k, 1)
    n0 = (total - (size**2).sum(-1) / total) / (k - 1)
    return np.maximum((between - within) / n0, 0.0), within


def _share(data: Array, training: Array) -> Array:
    total = data + training
    return np.divide(data, total, out=np.zeros_like(data), where=total > 0)
