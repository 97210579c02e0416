"""Affine regression of latents on codes: the information in the codes, independent of their basis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics.correlation import Matrix, usable
from nica_bench.metrics.mcc import Assignment, top_codes

__all__ = ["held_out_r2", "leakage", "r2_affine", "slopes"]

# Directions of standardised codes with a singular value below this share of the largest one are left out. The share is
# above the rounding of single precision, so that two copies of a float32 code count as one.
_SMALLEST_SINGULAR = 1e-6


def held_out_r2(fit_codes: NDArray[Any], fit_z: NDArray[Any], test_codes: NDArray[Any], test_z: NDArray[Any]) -> Matrix:
    """Return the R^2 on test data of the least-squares affine map from codes to latents fitted on other data.

    The solution of the smallest norm on standardised codes is taken, so codes may be repeated or linearly dependent. A
    code that is constant or not finite in either sample is left out.

    Args:
        fit_codes: codes to fit on, shape (N, k); k may be 0.
        fit_z: latents to fit on, shape (N, n).
        test_codes: codes to score on, shape (M, k).
        test_z: latents to score on, shape (M, n).

    Returns:
        1 - residual / total sum of squares of each latent on the test data, clipped to [0, 1], shape (n,); 0 for a
        constant latent.
    """
    good = usable(fit_codes) & usable(test_codes)
    varies = usable(fit_z) & usable(test_z)
    result = np.zeros(len(varies))
    if not good.any() or not varies.any():
        return result
    a, b = (np.asarray(codes[:, good], dtype=np.float64) for codes in (fit_codes, test_codes))
    y, target = (np.asarray(z[:, varies], dtype=np.float64) for z in (fit_z, test_z))
    # Codes are divided by their largest value first, since squares of very large or small values are out of range.
    scale = np.abs(a).max(axis=0)
    a = a / scale
    centre, mean = a.mean(axis=0), y.mean(axis=0)
    a -= centre
    spread = np.sqrt((a * a).mean(axis=0))
    a /= spread
    # The normal equations cost a fraction of a decomposition of all rows; they have squared singular values.
    weights = np.linalg.lstsq(a.T @ a, a.T @ (y - mean), rcond=_SMALLEST_SINGULAR**2)[0]
    total = target - target.mean(axis=0)
    # A test code far beyond those of the fit may make the prediction infinite; R^2 is then 0.
    with np.errstate(over="ignore", invalid="ignore"):
        residual = target - mean - (b / scale - centre) / spread @ weights
        r2 = 1.0 - (residual * residual).sum(axis=0) / (total * total).sum(axis=0)
    result[varies] = np.where(np.isfinite(r2), r2, 0.0)
    return np.clip(result, 0.0, 1.0)


def r2_affine(
    fit_codes: NDArray[Any],
    fit_z: NDArray[Any],
    test_codes: NDArray[Any],
    test_z: NDArray[Any],
    importance: NDArray[Any],
) -> float:
    """Return the held-out R^2 of an affine map from the method's own leading n codes, the mean over latents.

    It is 1 if the codes determine the latents up to an affine map; unlike the MCC it does not penalise a rotation.

    Args:
        fit_codes, test_codes: codes, shapes (N, m) and (M, m).
        fit_z, test_z: latents, shapes (N, n) and (M, n).
        importance: the method's own ranking, shape (m,).

    Returns:
        A value in [0, 1].
    """
    top = top_codes(importance, fit_z.shape[1])
    return float(held_out_r2(fit_codes[:, top], fit_z, test_codes[:, top], test_z).mean())


def leakage(
    fit_codes: NDArray[Any],
    fit_z: NDArray[Any],
    test_codes: NDArray[Any],
    test_z: NDArray[Any],
    importance: NDArray[Any],
) -> float:
    """Return the held-out R^2 of an affine map from all codes but the leading n, the mean over latents.

    Args:
        fit_codes, test_codes: codes, shapes (N, m) and (M, m).
        fit_z, test_z: latents, shapes (N, n) and (M, n).
        importance: the method's own ranking, shape (m,).

    Returns:
        A value in [0, 1]; 0 if there are no other codes.
    """
    rest = np.setdiff1d(np.arange(fit_codes.shape[1]), top_codes(importance, fit_z.shape[1]))
    return float(held_out_r2(fit_codes[:, rest], fit_z, test_codes[:, rest], test_z).mean())


def slopes(assignment: Assignment, z: NDArray[Any], codes: NDArray[Any]) -> Matrix:
    """Return slope and intercept of the regression of each latent on its own code, as in the paper's Table 1.

    Args:
        assignment: the code of each latent.
        z: latents, shape (N, n).
        codes: codes, finite, shape (N, m).

    Returns:
        Shape (n, 2): slope and intercept of z_i = slope * code + intercept; slope 0 for a latent without a code or with
        a constant one.
    """
    found = np.zeros((z.shape[1], 2))
    for i, code in enumerate(assignment.codes):
        latent = np.asarray(z[:, i], dtype=np.float64)
        found[i] = 0.0, latent.mean()
        if code >= 0:
            w = np.asarray(codes[:, code], dtype=np.float64)
            centred = w - w.mean()
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                slope = (centred @ latent) / (centred @ centred)
            if np.isfinite(slope):
                found[i] = slope, latent.mean() - slope * w.mean()
    return found
