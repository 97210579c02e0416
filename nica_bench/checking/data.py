"""Small datasets for checks of methods: vectors, and images for methods that take images only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nica_bench.dataset import Coordinates, Dataset, Split
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario

__all__ = ["CONDITIONS", "DIMENSIONS", "LATENTS", "Small", "SmallImages", "small_dataset"]

LATENTS, DIMENSIONS, CONDITIONS = 2, 4, 3
_IMAGE = (1, 8, 8)


@dataclass(frozen=True)
class Small(Scenario):
    """Small data: a weakly nonlinear mixing of Gaussian latents whose mean and scale depend on the condition."""

    family: ClassVar[str] = "small"
    equivalence: ClassVar[str] = "component-wise affine"

    conditions: int = parameter(CONDITIONS, "number of conditions", low=1)
    samples: int = parameter(240, "training points", low=1)

    @property
    def distribution_name(self) -> str:
        """The latents of a condition are normal."""
        return "normal"

    @property
    def mixed_coordinates(self) -> Coordinates:
        """A normal latent is its own natural coordinate."""
        return "natural"

    def generate(self, seed: int) -> Dataset:
        """Return the dataset of a seed."""
        return small_dataset(seed, train=self.samples, image_shape=self.image_shape)


@dataclass(frozen=True)
class SmallImages(Small):
    """Small data in the form of images of 8 x 8 pixels."""

    family: ClassVar[str] = "small-images"
    sized: ClassVar[bool] = False

    n_latents: int = LATENTS
    n_observed: int = math.prod(_IMAGE)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The image shape: one channel, 8 x 8 pixels."""
        return _IMAGE


def small_dataset(
    seed: int, *, train: int = 240, secrets: int = 0, image_shape: tuple[int, int, int] | None = None
) -> Dataset:
    """Return a dataset of `Small`.

    Args:
        seed: the data seed.
        train: the number of training points.
        secrets: another number gives other latents and conditions for the same observations.
        image_shape: the shape of an image; None for vectors.
    """
    rng = np.random.default_rng([seed, 7])
    n_observed = DIMENSIONS if image_shape is None else math.prod(image_shape)
    mixing = rng.normal(size=(LATENTS, n_observed))
    splits = []
    for count in (train, 90, 60):
        u = rng.permutation(np.arange(count) % CONDITIONS)
        z = rng.normal(size=(count, LATENTS)) * (1 + u[:, None]) + u[:, None] * [1.0, -2.0]
        x = (z + 0.1 * z**2) @ mixing + 0.05 * rng.normal(size=(count, n_observed))
        splits.append(Split(x.astype(np.float32), u, z))
    if secrets:
        other = np.random.default_rng([seed, secrets])
        splits = [Split(s.x, other.permutation(s.u), other.normal(size=(len(s.x), LATENTS))) for s in splits]
    train_split, validation, test = splits
    return Dataset(train_split, validation, test, CONDITIONS, family="normal", image_shape=image_shape)
