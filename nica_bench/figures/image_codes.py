"""What is done to the codes of a model of images before they are drawn: moved, sampled, restyled, and cut off.

Classes are those that the model knows moments of; K' of them. Codes are (..., m), as `ImageModel.images` takes them.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nica_bench.figures.image_model import ImageModel

__all__ = ["STEPS", "examples", "heat", "known_classes", "moved", "restyled", "sampled", "top_only", "whitened"]

Codes: TypeAlias = NDArray[np.float32]

STEPS = np.linspace(-2, 2, 9)
"""Where a code is taken to, in its standard deviations in a class (paper, Figures 4, 5 and 10 to 15)."""


def known_classes(model: ImageModel) -> NDArray[np.intp]:
    """Classes of which the model knows mean and standard deviation of every code, shape (K',)."""
    return np.flatnonzero(np.isfinite(model.means).all(1) & np.isfinite(model.sds).all(1))


def examples(model: ImageModel) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The first test image of each known class and these classes, shapes (E, D) and (E,)."""
    found = [np.flatnonzero(model.u == c)[:1] for c in known_classes(model)]
    rows = np.concatenate(found) if found else np.zeros(0, np.intp)
    return model.x[rows], model.u[rows]


def moved(model: ImageModel, rank: int, steps: NDArray[Any]) -> Codes:
    """The mean of each class with one code moved.

    Args:
        model: it.
        rank: of the code that is moved, 0 the most important.
        steps: by how many of its standard deviations in the class, shape (S,).

    Returns:
        Shape (K', S, m).
    """
    classes, code = known_classes(model), model.order[rank]
    codes = np.repeat(model.means[classes][:, None], len(steps), 1)
    codes[..., code] += model.sds[classes, code][:, None] * steps.astype(np.float32)
    return codes


def heat(model: ImageModel, rank: int) -> NDArray[np.float32]:
    """|pixel difference between -1 and +1 standard deviation| of a code in each class, shape (K', side, side)."""
    images = model.images(moved(model, rank, np.array([-1.0, 1.0])))
    difference: NDArray[np.float32] = np.abs(images[:, 1] - images[:, 0])
    return difference


def sampled(model: ImageModel, standard: NDArray[Any], kept: int, temperature: float) -> Codes:
    """Whitened codes under each class' moments (paper, Figure 9).

    Args:
        model: it.
        standard: whitened codes, shape (R, m).
        kept: the leading codes that are sampled; the others are at their class mean.
        temperature: what the standard deviations are multiplied by.

    Returns:
        Shape (R, K', m).
    """
    classes, part = known_classes(model), np.zeros(standard.shape, np.float32)
    leading = model.order[:kept]
    part[:, leading] = temperature * standard[:, leading]
    codes: Codes = model.means[classes] + model.sds[classes] * part[:, None]
    return codes


def whitened(model: ImageModel, x: NDArray[Any], u: NDArray[np.integer[Any]]) -> Codes:
    """Codes of images with the mean and the standard deviation of their own class taken out.

    Args:
        model: it.
        x, u: images (N, D) and their classes (N,).

    Returns:
        Shape (N, m); 0 where a code does not vary in the class.
    """
    codes, sds = np.asarray(model.encode(x, u), np.float32), model.sds[u]
    standard: Codes = np.divide(codes - model.means[u], sds, out=np.zeros_like(codes), where=sds > 0)
    return standard


def restyled(model: ImageModel, x: NDArray[Any], u: NDArray[np.integer[Any]]) -> Codes:
    """Whitened codes of images (N, D) of classes (N,) under every class' moments, shape (N, K', m)."""
    return sampled(model, whitened(model, x, u), len(model.order), 1.0)


def top_only(model: ImageModel, x: NDArray[Any], u: NDArray[np.integer[Any]], kept: int) -> Codes:
    """Codes of images of which only the leading ones are left; the others are at their mean over all classes.

    The class' own mean would tell which class the image is of.

    Args:
        model: it.
        x, u: images (N, D) and their classes (N,).
        kept: number of leading codes, 1..m.

    Returns:
        Shape (N, m).
    """
    codes = np.asarray(model.encode(x, u), np.float32)
    others = model.order[kept:]
    codes[:, others] = model.means[known_classes(model)].mean(0)[others]
    return codes
