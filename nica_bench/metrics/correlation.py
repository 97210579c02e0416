"""Correlation of latents with codes that may be constant or not finite.

A code may be constant, hold NaN or infinity, or be constant up to the rounding noise of single precision. Such a column
is *unusable* and its correlation is 0; it yields neither NaN nor a warning nor a correlation by chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Matrix", "correlation", "ranks", "remove_condition_means", "standardise", "usable"]

Matrix = NDArray[np.float64]

# A standard deviation below this number of rounding units, relative to the largest value, is rounding noise.
_ROUNDING_UNITS = 8.0


def usable(a: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which columns can be correlated: those with finite values that are not constant.

    A column is constant if its standard deviation is at most 8 rounding units of its own precision times its largest
    absolute value. The rule does not depend on the scale of a column.

    Args:
        a: columns, shape (N, m), N >= 1.

    Returns:
        Shape (m,).
    """
    return _varying(a)[0]


def standardise(a: NDArray[Any]) -> Matrix:
    """Return columns with mean 0 and Euclidean norm 1; an unusable column becomes zeros.

    The product of two such matrices is a correlation matrix.

    Args:
        a: columns, shape (N, m), any real type.

    Returns:
        Shape (N, m), float64.
    """
    good, centred = _varying(a)
    norm = np.sqrt((centred * centred).sum(axis=0))
    return centred / np.where(good, norm, np.inf)


def correlation(a: NDArray[Any], b: NDArray[Any]) -> Matrix:
    """Return the Pearson correlation of every column of `a` with every column of `b`.

    Args:
        a: columns, shape (N, n).
        b: columns, shape (N, m).

    Returns:
        Shape (n, m), in [-1, 1]; 0 if a column is constant or holds a value that is not finite, never NaN.

    Raises:
        ValueError: if the two do not have the same number of rows.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[0]:
        raise ValueError(f"expected two matrices with the same number of rows, got shapes {a.shape} and {b.shape}")
    return np.clip(standardise(a).T @ standardise(b), -1.0, 1.0)


def ranks(a: NDArray[Any]) -> Matrix:
    """Return ranks from 1 within each column; equal values have the mean of their ranks.

    The Pearson correlation of ranks is Spearman's correlation. An unusable column becomes zeros, so that rounding noise
    is not ranked.

    Args:
        a: columns, shape (N, m).

    Returns:
        Shape (N, m), float64.
    """
    good = usable(a)
    result = np.zeros(a.shape, order="F")
    for j in np.flatnonzero(good):
        column = np.ascontiguousarray(a[:, j])
        order = np.argsort(column)
        ordered = column[order]
        first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        size = np.diff(np.append(first, len(ordered)))
        result[order, j] = np.repeat(first + (size + 1) / 2, size)
    return result


def remove_condition_means(values: NDArray[Any], u: NDArray[np.integer[Any]]) -> Matrix:
    """Return the residuals of each column after the mean of its condition is subtracted.

    A column that is a function of the condition alone becomes exactly zero, not rounding noise; so does an unusable
    column.

    Args:
        values: columns, shape (N, m).
        u: conditions, integers, shape (N,).

    Returns:
        Residuals, shape (N, m), float64; every condition has mean 0 in every column.

    Raises:
        ValueError: if `u` does not have one entry per row.
    """
    if u.shape != values.shape[:1]:
        raise ValueError(f"expected conditions of shape ({values.shape[0]},), got {u.shape}")
    scaled, scale = _scale(np.where(usable(values), values, 0))
    _, index, counts = np.unique(u, return_inverse=True, return_counts=True)
    for _ in range(2):  # the second pass removes the rounding errors of the first
        for column in scaled.T:
            column -= (np.bincount(index, weights=column) / counts)[index]
    return np.asarray(scaled * (_root_mean_square(scaled) > _tolerance(values)) * scale)


def _varying(a: NDArray[Any]) -> tuple[NDArray[np.bool_], Matrix]:
    """Return which columns are usable, and all columns scaled and centred."""
    a = np.asfortranarray(a)  # a reduction over the rows of contiguous columns is several times faster
    finite = np.isfinite(a).all(axis=0)
    centred = _centre(_scale(a if finite.all() else np.where(finite, a, 0))[0])
    return finite & (_root_mean_square(centred) > _tolerance(a)), centred


def _tolerance(a: NDArray[Any]) -> float:
    kind = a.dtype if np.issubdtype(a.dtype, np.floating) else np.dtype(np.float64)
    return _ROUNDING_UNITS * float(np.finfo(kind).eps)


def _scale(a: NDArray[Any]) -> tuple[Matrix, Matrix]:
    """Return columns divided by their largest absolute value, so that squares neither over- nor underflow; and it."""
    a = np.asarray(a, dtype=np.float64, order="F")
    scale = np.abs(a).max(axis=0, initial=0.0)
    scale[scale == 0] = 1.0
    return a / scale, scale


def _centre(a: Matrix) -> Matrix:
    # Centred twice, because the mean of N equal numbers has a rounding error, which would look like variation.
    a = a - a.mean(axis=0)
    a -= a.mean(axis=0)
    return a


def _root_mean_square(a: Matrix) -> Matrix:
    result: Matrix = np.sqrt((a * a).mean(axis=0))
    return result
