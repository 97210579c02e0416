"""A quantity of one method on the datasets of a scenario, run for run, with what failed filled in."""

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
    """What is reached without learning.

    Args:
        method: label of the best baseline.
        level: its median over datasets.
        scores: its score on each dataset, by data seed.
    """

    method: str
    level: float
    scores: Mapping[int, float]


@dataclass(frozen=True)
class Outcomes:
    """One quantity of one series, for every run that it answers for: S data seeds with I initialisations each.

    Args:
        runs: (data seed, initialisation seed), seed by seed, S I of them.
        values: shape (S I,); failed and missing runs hold the baseline, or NaN where the quantity has none.
        ok: which runs finished and have the quantity, shape (S I,).
        failed, missing: numbers of runs that ended badly, and that others have and this method lacks.
        baseline: what the best baseline reaches; None where there is none or the quantity has none.
        inits: I.
    """

    runs: tuple[Run, ...]
    values: NDArray[np.float64]
    ok: NDArray[np.bool_]
    failed: int
    missing: int
    baseline: Baseline | None
    training_seeds: int

    def by_dataset(self) -> dict[int, float]:
        """Mean over a dataset's initialisations, by data seed; datasets without a number are left out."""
        return self._by_dataset

    @cached_property
    def _by_dataset(self) -> dict[int, float]:
        return self._means(self.values, np.isfinite(self.values))

    def success_by_dataset(self, threshold: float) -> dict[int, float]:
        """Share of a dataset's initialisations that finished and reach a threshold, by data seed."""
        reached = self.ok & (self.values >= threshold)
        return self._means(reached.astype(np.float64), np.ones_like(self.ok))

    def _means(self, values: NDArray[np.float64], counted: NDArray[np.bool_]) -> dict[int, float]:
        """Mean of the values that count, by data seed; seeds without one are left out."""
        some, used = values.reshape(-1, self.training_seeds), counted.reshape(-1, self.training_seeds)
        sums = np.zeros(len(some))
        for value, use in zip(some.T, used.T, strict=True):  # in turn, as a sum of few values is written down
            sums += np.where(use, value, 0.0)
        counts = used.sum(axis=1)
        kept = counts > 0
        seeds = [seed for (seed, _), keep in zip(self.runs[:: self.training_seeds], kept.tolist(), strict=True) if keep]
        return dict(zip(seeds, (sums[kept] / counts[kept]).tolist(), strict=True))
