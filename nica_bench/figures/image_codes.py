"""Transformations of the codes of a model of images for its figures: traversals, samples, style and reconstruction.

Classes are the K' classes of which the model has moments. Codes have shape (..., m), as in `ImageModel.images`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nica_bench.figures.image_model import ImageModel

__all__ = ["STEPS", "examples", "heat", "known_classes", "moved", "restyled", "sampled", "top_only", "whitened"]

Codes: TypeAlias = NDArray[np.float32]

STEPS = np.linspace(-2, 2, 9)
"""The steps of a traversal, in standard deviations of the code in a class (paper, Figures 4, 5 and 10 to 15)."""


def known_classes(model: ImageModel) -> NDArray[np.intp]:
    """Return the classes of which the model has mean and standard deviation of every code, shape (K',)."""
    return np.flatnonzero(np.isfinite(model.means).all(1) & np.isfinite(model.stds).all(1))


def examples(model: ImageModel) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the first test image of each known class, and the classes, shapes (E, D) and (E,)."""
    found = [np.flatnonzero(model.u == c)[:1] for c in known_classes(model)]
    rows = np.concatenate(found) if found else np.zeros(0, np.intp)
    return model.x[rows], model.u[rows]


def moved(model: ImageModel, rank: int, steps: NDArray[Any]) -> Codes:
    """Return the mean codes of each class with one code moved.

    Args:
        model: the model.
        rank: the rank of the code that is moved, 0 is the most important.
        steps: the steps in standard deviations of the code in the class, shape (S,).

    Returns:
        Codes, shape (K', S, m).
    """
    classes, code = known_classes(model), model.order[rank]
    codes = np.repeat(model.means[classes][:, None], len(steps), 1)
    codes[..., code] += model.stds[classes, code][:, None] * steps.astype(np.float32)
    return codes


def heat(model: ImageModel, rank: int) -> NDArray[np.float32]:
    """Return the absolute pixel difference between -1 and +1 std of a code in each class, shape (K', side, side)."""
    images = model.images(moved(model, rank, np.array([-1.0, 1.0])))
    difference: NDArray[np.float32] = np.abs(images[:, 1] - images[:, 0])
    return difference


def sampled(model: ImageModel, standard: NDArray[Any], kept: int, temperature: float) -> Codes:
    """Return codes from whitened codes and the moments of each class (paper, Figure 9).

    Args:
        model: the model.
        standard: whitened codes, shape (R, m).
        kept: the number of leading codes that are sampled; the others are at their class mean.
        temperature: the factor of the standard deviations.

    Returns:
        Codes, shape (R, K', m).
    """
    classes, part = known_classes(model), np.zeros(standard.shape, np.float32)
    leading = model.order[:kept]
    part[:, leading] = temperature * standard[:, leading]
    codes: Codes = model.means[classes] + model.stds[classes] * part[:, None]
    return codes


def whitened(model: ImageModel, x: NDArray[Any], u: NDArray[np.integer[Any]]) -> Codes:
    """Return the codes of images, standardised by the moments of their own class.

    Args:
        model: the model.
        x, u: images (N, D) and their classes (N,).

    Returns:
        Whitened codes, shape (N, m); 0 if a code does not vary in the class.
    """
    codes, stds = np.asarray(model.encode(x, u), np.float32), model.stds[u]
    standard: Codes = np.divide(codes - model.means[u], stds, out=np.zeros_like(codes), where=stds > 0)
    return standard


def restyled(model: ImageModel, x: NDArray[Any], u: NDArray[np.integer[Any]]) -> Codes:
    """Return the whitened codes of images (N, D) of classes (N,) with the moments of every class, shape (N, K', m)."""
    return sampled(model, whitened(model, x, u), len(model.order), 1.0)


def top_only(model: ImageModel, x: NDArray[Any], u: NDArray[np.integer[Any]], kept: int) -> Codes:
    """Return the codes of images with all but the leading codes replaced by their mean over all classes.

    The mean of the image's own class would reveal the class.

    Args:
        model: the model.
        x, u: images (N, D) and their classes (N,).
        kept: the number of leading codes, 1..m.

    Returns:
        Codes, shape (N, m).
    """
    codes = np.asarray(model.encode(x, u), np.float32)
    others = model.order[kept:]
    codes[:, others] = model.means[known_classes(model)].mean(0)[others]
    return codes
