"""A quantity of one method for every run of a scenario, with the scores of failed runs filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nica_bench.stats.series import Run

__all__ = ["Baseline", "Outcomes"]


@dataclass(frozen=True)
class Baseline:
    """The best baseline of a scenario.

    Args:
        method: the label of the baseline.
        level: the median of its scores over datasets.
        scores: its score on each dataset, by data seed.
    """

    method: str
    level: float
    scores: Mapping[int, float]


@dataclass(frozen=True)
class Outcomes:
    """One quantity of one series for all of its runs, S data seeds with T training seeds each.

    Args:
        runs: the (data seed, training seed) of each run, ordered by data seed, S T of them.
        values: shape (S T,); failed and missing runs have the score of the baseline, or NaN if there is no baseline.
        ok: whether each run finished and has the quantity, shape (S T,).
        failed, missing: the numbers of runs that failed, and of runs that other methods have and this one lacks.
        baseline: the best baseline; None if there is none or the quantity has none.
        training_seeds: T.
    """

    runs: tuple[Run, ...]
    values: NDArray[np.float64]
    ok: NDArray[np.bool_]
    failed: int
    missing: int
    baseline: Baseline | None
    training_seeds: int

    def by_dataset(self) -> dict[int, float]:
        """Return the mean over training seeds, by data seed; datasets without a value are left out."""
        return self._by_dataset

    @cached_property
    def _by_dataset(self) -> dict[int, float]:
        return self._means(self.values, np.isfinite(self.values))

    def success_by_dataset(self, threshold: float) -> dict[int, float]:
        """Return the share of training seeds that finished and reach a threshold, by data seed."""
        reached = self.ok & (self.values >= threshold)
        return self._means(reached.astype(np.float64), np.ones_like(self.ok))

    def _means(self, values: NDArray[np.float64], counted: NDArray[np.bool_]) -> dict[int, float]:
        """Return the mean of the counted values, by data seed; seeds without one are left out."""
        some, used = values.reshape(-1, self.training_seeds), counted.reshape(-1, self.training_seeds)
        sums = np.zeros(len(some))
        for value, use in zip(some.T, used.T, strict=True):  # added one by one, in the order of the training seeds
            sums += np.where(use, value, 0.0)
        counts = used.sum(axis=1)
        kept = counts > 0
        seeds = [seed for (seed, _), keep in zip(self.runs[:: self.training_seeds], kept.tolist(), strict=True) if keep]
        return dict(zip(seeds, (sums[kept] / counts[kept]).tolist(), strict=True))
