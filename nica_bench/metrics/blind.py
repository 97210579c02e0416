"""Everything that is said about one fit where nobody knows the latents: what its codes and its ranking show alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics.classes import bayes_accuracy, probe_accuracy
from nica_bench.metrics.correlation import Matrix
from nica_bench.metrics.knee import DEFAULT_RULE, WIDE_DEFAULT, estimate_dimension, knee_interval
from nica_bench.metrics.mcc import Assignment, top_codes
from nica_bench.metrics.scores import Scores

__all__ = [
    "PAPER_CODES",
    "LabelledCodes",
    "class_information",
    "class_moments",
    "knee_history",
    "score_blind",
    "within_class_sd",
]

PAPER_CODES = 22
"""Codes that the paper finds meaningful on EMNIST; accuracies of so many stand beside those of the own knee."""


@dataclass(frozen=True)
class LabelledCodes:
    """Codes with the labels of the same rows.

    Args:
        codes: shape (N, m).
        u: labels, integers, shape (N,).
    """

    codes: NDArray[Any]
    u: NDArray[np.integer[Any]]


def score_blind(
    importance: NDArray[Any],
    *,
    knows_dimension: bool = False,
    heldout_loss: float | None = None,
    history: Mapping[str, NDArray[Any]] | None = None,
    published: int | None = None,
) -> Scores:
    """Score one fit without latents. What needs them is absent from `Scores.values`: not applicable, which is not 0.

    Args:
        importance: the method's own ranking, shape (m,).
        knows_dimension: the method was told a number of latents, so its ranking estimates nothing.
        heldout_loss: nats a dimension.
        history: the fit's; the knee is followed where it has a `spectrum` of shape (T, m).
        published: number of latents that was published of these data.
    """
    values: dict[str, float] = {}
    dimensions: dict[str, int] = {}
    if not knows_dimension:
        dimensions = estimate_dimension(importance, wide=True)
        low, high = knee_interval(dimensions)
        values["dimension"] = float(dimensions[DEFAULT_RULE])
        values |= {"knee": float(dimensions[WIDE_DEFAULT]), "knee_low": float(low), "knee_high": float(high)}
        if published is not None:
            values["knee_found"] = float(low <= published <= high)
        knees = knee_history(history or {}).get(f"knee_{WIDE_DEFAULT}")
        if knees is not None and len(knees):
            last = knees[len(knees) // 2 :]
            values["knee_moved"] = float(last.max() - last.min())
    if heldout_loss is not None and math.isfinite(heldout_loss):
        values["bits"] = heldout_loss / math.log(2)
    return Scores(values, dimensions, Assignment((), ()), np.zeros((0, len(importance))), np.zeros((0, 2)), [])


def knee_history(history: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """The number of latents by every rule at each time at which the spectrum was kept: `knee_<rule>`, shape (T,)."""
    if "spectrum" not in history:
        return {}
    found = [estimate_dimension(row, wide=True) for row in history["spectrum"]]
    return {f"knee_{name}": np.array([f[name] for f in found]) for name in (found[0] if found else ())}


def class_information(
    train: LabelledCodes, test: LabelledCodes, importance: NDArray[Any], knee: int
) -> dict[str, float]:
    """How much of the class the codes hold, by a generative and by a discriminative reading, in accuracies.

    The class moments and the probe come from training codes; the numbers from test codes. A code that is not finite
    is left out.

    Args:
        train, test: codes of the same method, m columns each.
        importance: its own ranking, shape (m,).
        knee: number of leading codes.
    """
    good = np.isfinite(train.codes).all(0) & np.isfinite(test.codes).all(0)
    order = [int(j) for j in top_codes(importance, len(importance)) if good[j]]
    values = {}
    for name, codes in (("bayes", order), ("bayes_knee", order[:knee]), ("bayes_22", order[:PAPER_CODES])):
        if codes:
            values[name] = bayes_accuracy(train.codes[:, codes], train.u, test.codes[:, codes], test.u)
    for name, codes in (("probe_knee", order[:knee]), ("probe_22", order[:PAPER_CODES])):
        if codes:
            values[name] = probe_accuracy(train.codes[:, codes], train.u, test.codes[:, codes], test.u)
    return values


def within_class_sd(sample: LabelledCodes) -> Matrix:
    """The spectrum: root mean square over classes of the within-class standard deviation, shape (m,)."""
    present = np.unique(sample.u)
    variances = [sample.codes[sample.u == c].astype(np.float64).var(0) for c in present]
    spectrum: Matrix = np.sqrt(np.mean(variances, axis=0))
    return spectrum


def class_moments(sample: LabelledCodes, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and sd of every code in every class, shape (classes, m) each; NaN for a class with no rows."""
    moments = np.full((2, classes, sample.codes.shape[1]), np.nan, np.float32)
    for c in np.unique(sample.u):
        codes = sample.codes[sample.u == c].astype(np.float64)
        moments[:, c] = codes.mean(0), codes.std(0)
    return moments[0], moments[1]
