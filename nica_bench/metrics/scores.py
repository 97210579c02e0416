"""The scores of one fit: its codes on validation and test data are compared with the true latents."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import ContractError
from nica_bench.metrics.correlation import Matrix, ranks, remove_condition_means, standardise, usable
from nica_bench.metrics.knee import DEFAULT_RULE, WIDE_DEFAULT, estimate_dimension
from nica_bench.metrics.mcc import Assignment, match, mean_correlation, top_codes
from nica_bench.metrics.regression import leakage, r2_affine, slopes

__all__ = ["METRICS", "Metric", "Sample", "Scores", "score"]

_CHANCE_PERMUTATIONS = 20
_CHANCE_ROWS = 2_000


@dataclass(frozen=True)
class Metric:
    """The description of a metric.

    Args:
        name: the key in a record.
        description: one line.
        low, high: the range, ends included.
        higher_is_better: None if neither end is better, as for a count or a chance level.
        needs_latents: whether it compares codes with the true latents, so that it needs data with known latents.
        chance: the expected score of codes that are independent of the latents, if that is one known number.
        compute: the function of a metric that is added to those of nica-bench: from validation data, test data and the
            method's own ranking of its codes, shape (m,), to a number in the range. What is learned, such as a match or
            a sign, comes from validation data; the number comes from test data. A metric that does not need the latents
            is also computed on data without them, with z of shape (N, 0).
    """

    name: str
    description: str
    low: float
    high: float
    higher_is_better: bool | None
    needs_latents: bool = True
    chance: float | None = None
    compute: Callable[[Sample, Sample, NDArray[Any]], float] | None = None


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "mcc",
            "mean Pearson correlation of the own leading n codes, matched and signed on validation data",
            -1,
            1,
            True,
        ),
        Metric("mcc_best", "as mcc, but any code may be matched", -1, 1, True),
        Metric("mcc_within", "as mcc, after the condition means are removed", -1, 1, True),
        Metric("mcc_spearman", "as mcc, with Spearman instead of Pearson correlations", -1, 1, True),
        Metric("r2_affine", "held-out R^2 of an affine map from the own leading n codes to the latents", 0, 1, True),
        Metric(
            "leakage", "held-out R^2 of an affine map from all codes but the own leading n to the latents", 0, 1, False
        ),
        Metric("slope", "mean over latents of |slope| in the regression of a latent on its code", 0, math.inf, None),
        Metric("slope_error", "mean over latents of ||slope| - 1|", 0, math.inf, False),
        Metric(
            "dimension", f"estimated number of latents, from the own ranking ({DEFAULT_RULE})", 0, math.inf, None, False
        ),
        Metric("dimension_correct", "1 if the estimated number of latents is the true one, else 0", 0, 1, True),
        Metric("chance", "mean |mcc| with the rows of the codes shuffled, on up to 2,000 rows per sample", 0, 1, None),
        Metric(
            "knee", f"images: number of latents at the elbow of the spectrum ({WIDE_DEFAULT})", 0, math.inf, None, False
        ),
        Metric("knee_low", "images: smallest number of latents by any of five rules", 0, math.inf, None, False),
        Metric("knee_high", "images: largest number of latents by any of five rules", 0, math.inf, None, False),
        Metric(
            "knee_moved", "images: largest minus smallest knee over the last half of training", 0, math.inf, None, False
        ),
        Metric(
            "knee_found",
            "images: 1 if the published number of latents is in [knee_low, knee_high], else 0",
            0,
            1,
            True,
            False,
        ),
        Metric(
            "bits",
            "images: negative log-likelihood of the test images in bits per dimension, with noise of std .01",
            -math.inf,
            math.inf,
            False,
            False,
        ),
        Metric("bayes", "images: accuracy of naive Bayes on all codes", 0, 1, True, False),
        Metric("bayes_knee", "images: accuracy of naive Bayes on the leading codes up to the knee", 0, 1, True, False),
        Metric("bayes_22", "images: accuracy of naive Bayes on the leading 22 codes", 0, 1, True, False),
        Metric(
            "probe_knee", "images: accuracy of a linear probe on the leading codes up to the knee", 0, 1, True, False
        ),
        Metric("probe_22", "images: accuracy of a linear probe on the leading 22 codes", 0, 1, True, False),
    )
}
"""The metrics that `Scores.values` may hold, in the order of tables."""


@dataclass(frozen=True)
class Sample:
    """Latents, codes and conditions of the same rows.

    Args:
        z: latents, finite, shape (N, n), N >= 2; n is 0 where they are unknown.
        codes: codes, shape (N, m); columns that are constant or not finite are allowed and score 0.
        u: conditions, integers, shape (N,).

    Raises:
        ContractError: if a shape or type is wrong, or a latent is not finite.
    """

    z: NDArray[Any]
    codes: NDArray[Any]
    u: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        if self.z.ndim != 2 or self.z.shape[0] < 2:
            raise ContractError(f"expected latents of shape (N, n) with N >= 2, got {self.z.shape}")
        rows = self.z.shape[0]
        if self.codes.ndim != 2 or self.codes.shape[0] != rows:
            raise ContractError(f"expected codes of shape ({rows}, m), got {self.codes.shape}")
        if not (np.issubdtype(self.codes.dtype, np.floating) or np.issubdtype(self.codes.dtype, np.integer)):
            raise ContractError(f"expected codes of real numbers, got {self.codes.dtype}")
        if self.u.shape != (rows,) or not np.issubdtype(self.u.dtype, np.integer):
            raise ContractError(
                f"expected conditions, integers of shape ({rows},), got {self.u.dtype} of shape {self.u.shape}"
            )
        if not np.isfinite(self.z).all():
            raise ContractError("expected finite latents, got values that are not finite")


@dataclass(frozen=True)
class Scores:
    """The scores of one fit; all values are finite.

    Args:
        values: metrics by name, each in the range of `METRICS`.
        dimensions: the number of latents by every rule; empty for a method that is given it.
        assignment: the assignment behind `mcc`: the code index and the sign for each latent.
        correlation: the Pearson correlation of latents and codes on test data, shape (n, m), signed.
        slopes: slope and intercept of each latent on its own code, on test data, shape (n, 2).
        notes: remarks on the scores, such as "2 of 10 codes are constant".

    Raises:
        ValueError: if a value has an unknown name or is out of its range.
    """

    values: dict[str, float]
    dimensions: dict[str, int]
    assignment: Assignment
    correlation: Matrix
    slopes: Matrix
    notes: list[str]

    def __post_init__(self) -> None:
        for name, value in self.values.items():
            if name not in METRICS:
                raise ValueError(f"expected the name of a metric, got '{name}'")
            metric = METRICS[name]
            if not (math.isfinite(value) and metric.low <= value <= metric.high):
                raise ValueError(f"expected {name} in [{metric.low:g}, {metric.high:g}], got {value}")
        if not np.isfinite(self.correlation).all():
            raise ValueError("expected finite correlations")


def score(
    validation: Sample,
    test: Sample,
    importance: NDArray[Any],
    rng: np.random.Generator,
    *,
    knows_dimension: bool = False,
) -> Scores:
    """Score the codes of one fit. Assignments, signs and maps are learned on validation data, scores are on test data.

    A code that is constant or not finite in either sample scores 0.

    Args:
        validation: the sample to learn on, shapes (N, n) and (N, m).
        test: the sample to score on, shapes (M, n) and (M, m).
        importance: the method's own ranking, made without the latents, shape (m,).
        rng: the random stream of the chance level; all other scores are deterministic.
        knows_dimension: whether the method is given n; `dimension` and `dimension_correct` are then left out.

    Raises:
        ContractError: if the shapes of the samples and the ranking do not agree.
    """
    latents, width = test.z.shape[1], test.codes.shape[1]
    if validation.z.shape[1] != latents or validation.codes.shape[1] != width:
        raise ContractError(
            f"expected {latents} latents and {width} codes in both samples, "
            f"got {validation.z.shape[1]} and {validation.codes.shape[1]} in validation"
        )
    if latents < 1:
        raise ContractError("expected at least one latent, got none")
    if importance.shape != (width,):
        raise ContractError(f"expected importance of shape ({width},), one value per code, got {importance.shape}")

    good = usable(validation.codes) & usable(test.codes)
    notes = _notes(validation, test, importance, good)
    # Zeros are constant, so that every function below treats such a code as unusable in both samples.
    fit_codes, test_codes = (np.where(good, np.asfortranarray(s.codes), 0) for s in (validation, test))
    top = top_codes(importance, latents)

    fit_table = _table(validation.z, fit_codes)
    test_table = _table(test.z, test_codes)
    assignment = match(fit_table, top)

    own = np.arange(len(top))
    within = [
        _table(remove_condition_means(s.z, s.u), remove_condition_means(c[:, top], s.u))
        for s, c in ((validation, fit_codes), (test, test_codes))
    ]
    spearman = [_table(ranks(s.z), ranks(c[:, top])) for s, c in ((validation, fit_codes), (test, test_codes))]

    parts = fit_codes, validation.z, test_codes, test.z, importance
    values = {
        "mcc": mean_correlation(assignment.read(test_table)),
        "mcc_best": mean_correlation(match(fit_table, np.arange(width)).read(test_table)),
        "mcc_within": mean_correlation(match(within[0], own).read(within[1])),
        "mcc_spearman": mean_correlation(match(spearman[0], own).read(spearman[1])),
        "r2_affine": r2_affine(*parts),
        "leakage": leakage(*parts),
    }
    regressions = slopes(assignment, test.z, test_codes)
    sizes = np.abs(regressions[:, 0])
    values |= {"slope": float(sizes.mean()), "slope_error": float(np.abs(sizes - 1).mean())}
    dimensions: dict[str, int] = {}
    if not knows_dimension:
        dimensions = estimate_dimension(importance)
        values["dimension"] = float(dimensions[DEFAULT_RULE])
        values["dimension_correct"] = float(dimensions[DEFAULT_RULE] == latents)
    values["chance"] = _chance(validation.z, fit_codes[:, top], test.z, test_codes[:, top], rng)
    return Scores(values, dimensions, assignment, test_table, regressions, notes)


def _table(z: NDArray[Any], codes: NDArray[Any]) -> Matrix:
    return np.clip(standardise(z).T @ standardise(codes), -1.0, 1.0)


def _chance(
    fit_z: NDArray[Any],
    fit_codes: NDArray[Any],
    test_z: NDArray[Any],
    test_codes: NDArray[Any],
    rng: np.random.Generator,
) -> float:
    """Return the mean |mcc| over shuffles of the rows of the codes, matched on one sample and scored on the other."""
    parts = []
    for z, codes in ((fit_z, fit_codes), (test_z, test_codes)):
        rows = rng.permutation(len(z))[:_CHANCE_ROWS]
        parts.append((standardise(z[rows]).T, standardise(codes[rows])))
    total = 0.0
    for _ in range(_CHANCE_PERMUTATIONS):
        fit, test = (np.clip(z @ codes[rng.permutation(len(codes))], -1.0, 1.0) for z, codes in parts)
        total += abs(mean_correlation(match(fit, np.arange(fit.shape[1])).read(test)))
    return total / _CHANCE_PERMUTATIONS


def _notes(validation: Sample, test: Sample, importance: NDArray[Any], good: NDArray[np.bool_]) -> list[str]:
    latents, width = test.z.shape[1], len(good)
    finite = np.isfinite(validation.codes).all(axis=0) & np.isfinite(test.codes).all(axis=0)
    varying = usable(validation.z) & usable(test.z)
    notes = []
    if width < latents:
        notes.append(f"{width} {'code' if width == 1 else 'codes'} for {latents} latents")
    for bad, total, what, state in (
        (~finite, width, "codes", "not finite"),
        (finite & ~good, width, "codes", "constant"),
        (~np.isfinite(importance), width, "values of importance", "not finite"),
        (~varying, latents, "latents", "constant"),
    ):
        count = int(bad.sum())
        if count:
            notes.append(f"{count} of {total} {what} {'is' if count == 1 else 'are'} {state}")
    return notes
