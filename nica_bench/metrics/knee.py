"""The number of latents from the spectrum of a method's own ranking, at the knee where it drops to the noise level.

No rule is right for every spectrum and the rules often disagree, so all of them are reported; one is the default.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics.correlation import Matrix

__all__ = [
    "DEFAULT_RULE",
    "INTERVAL_RULES",
    "RULES",
    "WIDE_DEFAULT",
    "WIDE_RULES",
    "estimate_dimension",
    "knee_interval",
    "spectrum",
]

# Values below this share of the largest one are raised to it before the logarithm is taken.
_LOG_FLOOR = 1e-6

# Three times the standard deviation of the augmentation noise in the published experiments.
_THRESHOLD = 0.03


def spectrum(importance: NDArray[Any]) -> Matrix:
    """Return the importance in descending order; values that are negative or not finite become 0.

    Args:
        importance: the method's own ranking, shape (m,).

    Returns:
        Shape (m,), non-negative.
    """
    values = np.asarray(importance, dtype=np.float64)
    values = np.where(np.isfinite(values), values, 0.0)
    return np.sort(np.maximum(values, 0.0))[::-1]


def kneedle(sigma: Matrix) -> int:
    """Return the knee of the spectrum over ranks from 0, by Kneedle (Satopaa et al. 2011); m if there is no knee.

    The knee is the first value at the noise level, so its rank is the number of values above that level.

    Args:
        sigma: spectrum, descending, shape (m,).
    """
    return _kneedle(sigma)


def kneedle_log(sigma: Matrix) -> int:
    """Return the knee of the logarithm of the spectrum, by Kneedle; m if there is no knee.

    Args:
        sigma: spectrum, descending, shape (m,).
    """
    return _kneedle(_log(sigma))


def log_gap(sigma: Matrix) -> int:
    """Return the number of values before the largest log gap, the first of equal ones; m for a single value.

    Args:
        sigma: spectrum, descending, shape (m,).
    """
    return int(np.argmin(np.diff(_log(sigma)))) + 1 if len(sigma) > 1 else len(sigma)


def zhu_ghodsi(sigma: Matrix) -> int:
    """Return the split of the log spectrum into two Gaussians with the largest profile likelihood; m for one value.

    With a common variance the likelihood decreases with the sum of squares within the two groups (Zhu & Ghodsi 2006,
    equation 3), so the smallest sum of squares is its maximum.

    Args:
        sigma: spectrum, descending, shape (m,).
    """
    values = _log(sigma)
    within = [_squares(values[:q]) + _squares(values[q:]) for q in range(1, len(values))]
    return int(np.argmin(within)) + 1 if within else len(values)


def threshold(sigma: Matrix) -> int:
    """Return the number of values above .03, three times the augmentation noise of the published experiments.

    Args:
        sigma: spectrum, descending, shape (m,).
    """
    return int((sigma > _THRESHOLD).sum())


RULES: dict[str, Callable[[Matrix], int]] = {
    "kneedle": kneedle,
    "kneedle-log": kneedle_log,
    "log-gap": log_gap,
    "zhu-ghodsi": zhu_ghodsi,
    "threshold": threshold,
}
"""The rules by name: functions of a descending spectrum whose values are not all equal."""

DEFAULT_RULE = "kneedle"
"""The rule behind the metric `dimension`."""


_LEADING = 5
"""The number of leading values whose gaps are ignored, since these are large in every wide spectrum."""
_LINE = 0.10, 0.60
"""The range of ranks, as shares of m, on which the line is fitted."""
_ABOVE_LINE = 0.10
"""The residual of log sigma above which a value counts as above the line."""


def late_gap(sigma: Matrix) -> int:
    """Return the number of values before the largest log gap after the first five, in the first half of the ranks.

    In a wide spectrum the first values always have large gaps, and the last values drop to zero because some pixels are
    constant.

    Args:
        sigma: spectrum, descending, shape (m,).
    """
    ratios = np.diff(_log(sigma))[_LEADING : max(_LEADING + 1, len(sigma) // 2)]
    return _LEADING + 1 + int(np.argmin(ratios)) if len(ratios) else len(sigma)


def line(sigma: Matrix) -> int:
    """Return the number of leading values more than .10 above the line through log sigma at 10 to 60 % of the ranks.

    Args:
        sigma: spectrum, descending, shape (m,).
    """
    values, ranks = _log(sigma), np.arange(len(sigma))
    low, high = (int(share * len(sigma)) for share in _LINE)
    if high - low < 2:
        return len(sigma)
    slope, intercept = np.polyfit(ranks[low:high], values[low:high], 1)
    below = np.flatnonzero(values - (slope * ranks + intercept) <= _ABOVE_LINE)
    return int(below[0]) if len(below) else len(sigma)


WIDE_RULES: dict[str, Callable[[Matrix], int]] = {**RULES, "late-gap": late_gap, "line": line}
"""The rules for the wide spectra of images."""

WIDE_DEFAULT = "late-gap"
"""The default rule for wide spectra: the elbow that one sees in a logarithmic plot."""

INTERVAL_RULES = "kneedle", "kneedle-log", "late-gap", "zhu-ghodsi", "line"
"""The rules whose smallest and largest answers are the ends of the interval."""


def knee_interval(dimensions: Mapping[str, int]) -> tuple[int, int]:
    """Return the smallest and the largest answer of `INTERVAL_RULES`.

    The threshold is not among them, since it depends on the scale of the codes, nor is the plain log gap, which finds
    the first or the last value of a wide spectrum.

    Args:
        dimensions: from `estimate_dimension(..., wide=True)`.
    """
    answers = [dimensions[name] for name in INTERVAL_RULES]
    return min(answers), max(answers)


def estimate_dimension(importance: NDArray[Any], *, wide: bool = False) -> dict[str, int]:
    """Return the number of latents by every rule.

    A spectrum of zeros has 0 latents, and one whose values are all equal has m (by the threshold: 0 or m).

    Args:
        importance: the method's own ranking, shape (m,); see `spectrum` for values that are not finite.
        wide: whether to apply the rules for wide spectra too.

    Returns:
        A number in 0..m for each rule.

    Raises:
        ValueError: if importance is not a vector.
    """
    if np.ndim(importance) != 1:
        raise ValueError(f"expected importance of shape (m,), got {np.shape(importance)}")
    rules = WIDE_RULES if wide else RULES
    sigma = spectrum(importance)
    if not sigma.any():
        return dict.fromkeys(rules, 0)
    if sigma[0] - sigma[-1] <= 1e-12 * sigma[0]:
        return {name: threshold(sigma) if rule is threshold else len(sigma) for name, rule in rules.items()}
    return {name: rule(sigma) for name, rule in rules.items()}


def _log(sigma: Matrix) -> Matrix:
    return np.asarray(np.log(np.maximum(sigma, _LOG_FLOOR * sigma[0])))


def _squares(values: Matrix) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _kneedle(values: Matrix) -> int:
    if len(values) < 3:  # two points lie on a line
        return len(values)
    # Imported here, because it imports scipy.signal and matplotlib, which takes more than a second.
    from kneed import KneeLocator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = KneeLocator(np.arange(len(values)), values, curve="convex", direction="decreasing", online=True)
    # The knees are in the order of their ranks. If the leading values are about equal, Kneedle finds a knee at rank 0,
    # which would mean that there are no latents, so the first knee after it is returned.
    return next((int(rank) for rank in found.all_knees if rank > 0), len(values))
