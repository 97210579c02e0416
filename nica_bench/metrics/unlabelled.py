"""Scores of one fit on unlabelled data, whose true latents are unknown: they need its codes and its ranking only."""

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
    "ClassCodes",
    "class_information",
    "class_moments",
    "knee_history",
    "score_unlabelled",
    "within_class_std",
]

PAPER_CODES = 22
"""The number of codes that the paper finds meaningful on EMNIST; accuracies are also computed on so many codes."""


@dataclass(frozen=True)
class ClassCodes:
    """Codes with the classes of the same images.

    Args:
        codes: codes, shape (N, m).
        u: classes, integers, shape (N,).
    """

    codes: NDArray[Any]
    u: NDArray[np.integer[Any]]


def score_unlabelled(
    importance: NDArray[Any],
    *,
    knows_dimension: bool = False,
    heldout_loss: float | None = None,
    history: Mapping[str, NDArray[Any]] | None = None,
    published: int | None = None,
) -> Scores:
    """Score one fit without latents. Metrics that need them are not applicable and absent from `Scores.values`.

    Args:
        importance: the method's own ranking, shape (m,).
        knows_dimension: whether the method is given a number of latents, so that its ranking estimates none.
        heldout_loss: the held-out loss in nats per dimension.
        history: the history of the fit; `knee_moved` is computed from its `spectrum` of shape (T, m), if there is one.
        published: the number of latents that a publication counts in these data.
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
    """Return the number of latents by every rule at each stored spectrum of the training: `knee_<rule>`, shape (T,)."""
    if "spectrum" not in history:
        return {}
    found = [estimate_dimension(row, wide=True) for row in history["spectrum"]]
    return {f"knee_{name}": np.array([f[name] for f in found]) for name in (found[0] if found else ())}


def class_information(train: ClassCodes, test: ClassCodes, importance: NDArray[Any], knee: int) -> dict[str, float]:
    """Return the accuracies of a generative and a discriminative classifier of the class from the codes.

    Naive Bayes and the linear probe are fitted on training codes and evaluated on test codes. A code that is not finite
    is left out.

    Args:
        train, test: the codes of one method, m columns each.
        importance: the method's own ranking, shape (m,).
        knee: the number of leading codes.
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


def within_class_std(sample: ClassCodes) -> Matrix:
    """Return the spectrum: the root mean square over classes of the within-class std of each code, shape (m,)."""
    present = np.unique(sample.u)
    variances = [sample.codes[sample.u == c].astype(np.float64).var(0) for c in present]
    spectrum: Matrix = np.sqrt(np.mean(variances, axis=0))
    return spectrum


def class_moments(sample: ClassCodes, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and std of every code in every class, shape (classes, m) each; NaN for a class without images."""
    moments = np.full((2, classes, sample.codes.shape[1]), np.nan, np.float32)
    for c in np.unique(sample.u):
        codes = sample.codes[sample.u == c].astype(np.float64)
        moments[:, c] = codes.mean(0), codes.std(0)
    return moments[0], moments[1]
