"""The inverse-Gaussian family: first passage times of a Brownian motion with drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from nica_bench.dataset import Floats, Integers
from nica_bench.latents.coordinate import LOG
from nica_bench.latents.family import ConditionalFamily, Promise
from nica_bench.parameters import Range

__all__ = ["ConditionalInverseGaussian"]


@dataclass(frozen=True)
class ConditionalInverseGaussian(ConditionalFamily):
    """Inverse-Gaussian latents: density sqrt(shape / (2 pi z^3)) exp(-shape (z - mean)^2 / (2 mean^2 z)).

    Table 1 allows z = a / w too, from the sufficient statistics alone. Its base measure z^-1.5 excludes it: 1 / z is
    not inverse Gaussian.

    Args:
        means: shape (conditions, n), positive.
        shapes: shape (conditions, n), positive; the variance is mean^3 / shape.
    """

    name = "inverse-gaussian"
    coordinate = LOG
    statistics = ("z", "1 / z")
    positive = ("means", "shapes")
    promise = Promise((1.0,), None, "component-wise z = a w")

    means: Floats
    shapes: Floats

    @classmethod
    def draw(
        cls, generator: np.random.Generator, conditions: int, n_latents: int, *, means: Range, shapes: Range
    ) -> Self:
        """Draw the parameters, uniform on their ranges.

        Args:
            generator: source of randomness.
            conditions: number of conditions.
            n_latents: number of latents n.
            means, shapes: the ranges.
        """
        return cls._uniform(generator, conditions, n_latents, means, shapes)

    def _sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        return generator.wald(self.means[u], self.shapes[u])

    def log_density_natural(self, v: Floats, u: Integers) -> Floats:
        """log p(v_i | u) = (log(shape / 2 pi) - v - shape (e^v - mean)^2 / (mean^2 e^v)) / 2, shape (N, n), in nats."""
        mean, shape = self.means[u], self.shapes[u]
        z = np.exp(v)
        density: Floats = 0.5 * (np.log(shape / (2 * np.pi)) - v - shape * (z - mean) ** 2 / (mean**2 * z))
        return density

    @classmethod
    def sufficient_statistics(cls, z: Floats) -> Floats:
        """z and 1 / z, shape (..., 2)."""
        return np.stack([z, 1 / z], -1)

    @classmethod
    def log_base_measure(cls, z: Floats) -> Floats:
        """log z^-1.5, shape of z."""
        return np.asarray(-1.5 * np.log(z))
