"""The gamma family and its reciprocal, the inverse gamma."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from nica_bench.dataset import Floats, Integers
from nica_bench.latents.coordinate import LOG
from nica_bench.latents.family import ConditionalFamily, Promise
from nica_bench.parameters import Range

__all__ = ["ConditionalGamma", "ConditionalInverseGamma"]


@dataclass(frozen=True)
class _ShapeScale(ConditionalFamily, ABC):
    """A positive family with a shape and a scale, recovered up to a factor.

    Args:
        shapes: shape (conditions, n), positive.
        scales: shape (conditions, n), positive.
    """

    coordinate = LOG
    positive: ClassVar[tuple[str, ...]] = ("shapes", "scales")
    promise: ClassVar[Promise] = Promise((1.0,), None, "component-wise z = a w")

    shapes: Floats
    scales: Floats

    @classmethod
    def draw(
        cls, generator: np.random.Generator, conditions: int, n_latents: int, *, shapes: Range, scales: Range
    ) -> Self:
        """Draw the parameters, uniform on their ranges.

        Args:
            generator: source of randomness.
            conditions: number of conditions.
            n_latents: number of latents n.
            shapes, scales: the ranges.
        """
        return cls._uniform(generator, conditions, n_latents, shapes, scales)


class ConditionalGamma(_ShapeScale):
    """Gamma latents: density z^(shape - 1) exp(-z / scale) / (Gamma(shape) scale^shape).

    Args:
        shapes: shape (conditions, n), positive.
        scales: shape (conditions, n), positive.
    """

    name = "gamma"
    statistics = ("log z", "z")

    def _sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        return generator.gamma(self.shapes[u], self.scales[u])

    def log_density_natural(self, v: Floats, u: Integers) -> Floats:
        """log p(v_i | u) = shape v - e^v / scale - log Gamma(shape) - shape log scale, shape (N, n), in nats."""
        from scipy.special import gammaln

        shape, scale = self.shapes[u], self.scales[u]
        density: Floats = shape * (v - np.log(scale)) - np.exp(v) / scale - gammaln(shape)
        return density

    @classmethod
    def sufficient_statistics(cls, z: Floats) -> Floats:
        """log z and z, shape (..., 2)."""
        return np.stack([np.log(z), z], -1)


class ConditionalInverseGamma(_ShapeScale):
    """Inverse-gamma latents: 1 / z is gamma; density scale^shape z^(-shape - 1) exp(-scale / z) / Gamma(shape).

    Args:
        shapes: shape (conditions, n), positive.
        scales: of z, shape (conditions, n), positive; the rate of 1 / z.
    """

    name = "inverse-gamma"
    statistics = ("log z", "1 / z")

    def _sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        # A tiny shape gives a gamma variable that underflows to 0; the base keeps z finite.
        with np.errstate(divide="ignore", over="ignore"):
            z: Floats = self.scales[u] / generator.gamma(self.shapes[u])
        return z

    def log_density_natural(self, v: Floats, u: Integers) -> Floats:
        """log p(v_i | u) = shape (log scale - v) - scale e^-v - log Gamma(shape), shape (N, n), in nats."""
        from scipy.special import gammaln

        shape, scale = self.shapes[u], self.scales[u]
        density: Floats = shape * (np.log(scale) - v) - scale * np.exp(-v) - gammaln(shape)
        return density

    @classmethod
    def sufficient_statistics(cls, z: Floats) -> Floats:
        """log z and 1 / z, shape (..., 2)."""
        return np.stack([np.log(z), 1 / z], -1)
