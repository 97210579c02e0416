"""Everything that is said about one fit where nobody knows the latents: what its codes and its ranking show alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics.knee import DEFAULT_RULE, estimate_dimension
from nica_bench.metrics.mcc import Assignment
from nica_bench.metrics.scores import Scores

__all__ = ["score_blind"]


def score_blind(importance: NDArray[Any], *, knows_dimension: bool = False) -> Scores:
    """Score one fit without latents. What needs them is absent from `Scores.values`: not applicable, which is not 0.

    Args:
        importance: the method's own ranking, shape (m,).
        knows_dimension: the method was told a number of latents, so its ranking estimates nothing.
    """
    values: dict[str, float] = {}
    dimensions: dict[str, int] = {}
    if not knows_dimension:
        dimensions = estimate_dimension(importance)
        values["dimension"] = float(dimensions[DEFAULT_RULE])
    return Scores(values, dimensions, Assignment((), ()), np.zeros((0, len(importance))), np.zeros((0, 2)), [])
