"""The normal family (paper, section 4.3.1) and its exponential, the lognormal."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np

from nica_bench.dataset import Floats, Integers
from nica_bench.latents.coordinate import IDENTITY, LOG
from nica_bench.latents.family import ConditionalFamily, Promise
from nica_bench.parameters import Range

__all__ = ["ConditionalLognormal", "ConditionalNormal"]


@dataclass(frozen=True)
class _NormalNatural(ConditionalFamily, ABC):
    """A family whose natural coordinate is normal.

    Args:
        means: of v, shape (conditions, n).
        sds: standard deviations of v, shape (conditions, n), positive.
    """

    positive: ClassVar[tuple[str, ...]] = ("sds",)

    means: Floats
    sds: Floats

    @classmethod
    def draw(
        cls,
        generator: np.random.Generator,
        conditions: int,
        n_latents: int,
        *,
        means: Range,
        spreads: Range,
        spread: Literal["variance", "std"] = "variance",
    ) -> Self:
        """Draw the parameters: means uniform on a range, variances (paper) or standard deviations (its code) too.

        Args:
            generator: source of randomness.
            conditions: number of conditions.
            n_latents: number of latents n.
            means: range of the means of v.
            spreads: range of what `spread` names.
            spread: "variance" as the paper says, "std" as its authors' code does.
        """
        mu = generator.uniform(means.low, means.high, (conditions, n_latents))
        drawn = generator.uniform(spreads.low, spreads.high, (conditions, n_latents))
        return cls(mu, np.sqrt(drawn) if spread == "variance" else drawn)

    def _sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        v: Floats = self.means[u] + self.sds[u] * generator.standard_normal((u.shape[0], self.n_latents))
        return self.from_natural(v)

    def log_density_natural(self, v: Floats, u: Integers) -> Floats:
        """log p(v_i | u), shape (N, n), in nats."""
        standard = (v - self.means[u]) / self.sds[u]
        density: Floats = -0.5 * standard**2 - np.log(self.sds[u]) - 0.5 * np.log(2 * np.pi)
        return density

    @classmethod
    def sufficient_statistics(cls, z: Floats) -> Floats:
        """v and v^2, shape (..., 2)."""
        v = cls.natural(z)
        return np.stack([v, v**2], -1)

    @classmethod
    def log_base_measure(cls, z: Floats) -> Floats:
        """log(dv / dz), shape of z."""
        return cls.coordinate.log_slope(cls.natural(z))


class ConditionalNormal(_NormalNatural):
    """Normal latents: z = v.

    Args:
        means: shape (conditions, n).
        sds: standard deviations, shape (conditions, n), positive.
    """

    name = "normal"
    coordinate = IDENTITY
    statistics = ("z", "z^2")
    promise = Promise((), None, "component-wise affine")


class ConditionalLognormal(_NormalNatural):
    """Lognormal latents: log z is normal.

    Args:
        means: of log z, shape (conditions, n).
        sds: standard deviations of log z, shape (conditions, n), positive.
    """

    name = "lognormal"
    coordinate = LOG
    statistics = ("log z", "(log z)^2")
    promise = Promise((), None, "component-wise log z = a log w + c")
