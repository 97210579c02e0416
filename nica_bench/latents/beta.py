"""The beta family, on the unit interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from nica_bench.dataset import Floats, Integers
from nica_bench.latents.coordinate import LOGIT
from nica_bench.latents.family import ConditionalFamily, Promise
from nica_bench.parameters import Range

__all__ = ["ConditionalBeta"]


@dataclass(frozen=True)
class ConditionalBeta(ConditionalFamily):
    """Beta latents: density z^(alpha - 1) (1 - z)^(beta - 1) / B(alpha, beta).

    Args:
        alphas: shape (conditions, n), positive.
        betas: shape (conditions, n), positive.
    """

    name = "beta"
    coordinate = LOGIT
    statistics = ("log z", "log(1 - z)")
    positive = ("alphas", "betas")
    promise = Promise((1.0, -1.0), 0.0, "component-wise z = w or z = 1 - w")

    alphas: Floats
    betas: Floats

    @classmethod
    def draw(
        cls, generator: np.random.Generator, conditions: int, n_latents: int, *, alphas: Range, betas: Range
    ) -> Self:
        """Draw the parameters, uniform on their ranges.

        Args:
            generator: source of randomness.
            conditions: number of conditions.
            n_latents: number of latents n.
            alphas, betas: the ranges.
        """
        return cls._uniform(generator, conditions, n_latents, alphas, betas)

    def _sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        return generator.beta(self.alphas[u], self.betas[u])

    def log_density_natural(self, v: Floats, u: Integers) -> Floats:
        """log p(v_i | u) = alpha log expit(v) + beta log expit(-v) - log B(alpha, beta), shape (N, n), in nats."""
        from scipy.special import betaln, log_expit

        alpha, beta = self.alphas[u], self.betas[u]
        density: Floats = alpha * log_expit(v) + beta * log_expit(-v) - betaln(alpha, beta)
        return density

    @classmethod
    def sufficient_statistics(cls, z: Floats) -> Floats:
        """log z and log(1 - z), shape (..., 2)."""
        return np.stack([np.log(z), np.log1p(-z)], -1)
