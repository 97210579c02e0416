"""The conditional normal family (paper, section 4.3.1): factorial, with a mean and a spread for each condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nica_bench.dataset import Floats, Integers
from nica_bench.errors import UsageError
from nica_bench.parameters import Range

__all__ = ["ConditionalNormal"]


@dataclass(frozen=True)
class ConditionalNormal:
    """Independent normal latents given a condition.

    Args:
        means: shape (conditions, n).
        sds: standard deviations, shape (conditions, n), positive.

    Raises:
        UsageError: if the shapes differ or a standard deviation is not positive.
    """

    means: Floats
    sds: Floats

    def __post_init__(self) -> None:
        if self.means.shape != self.sds.shape or self.means.ndim != 2:
            raise UsageError(
                f"means and sds need one shape (conditions, n), got {self.means.shape} and {self.sds.shape}"
            )
        if not (self.sds > 0).all():
            raise UsageError(f"standard deviations must be positive, got {self.sds.min():g}")

    @classmethod
    def draw(
        cls,
        generator: np.random.Generator,
        conditions: int,
        latents: int,
        *,
        means: Range,
        spreads: Range,
        spread: Literal["variance", "std"],
    ) -> ConditionalNormal:
        """Draw the parameters: means uniform on a range, variances (paper) or standard deviations (its code) too.

        Args:
            generator: source of randomness.
            conditions: number of conditions.
            latents: number of latents n.
            means: range of the means.
            spreads: range of what `spread` names.
            spread: "variance" as the paper says, "std" as its authors' code does.
        """
        mu = generator.uniform(means.low, means.high, (conditions, latents))
        drawn = generator.uniform(spreads.low, spreads.high, (conditions, latents))
        return cls(mu, np.sqrt(drawn) if spread == "variance" else drawn)

    def sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        """One latent vector for each condition: u (N,) to z (N, n)."""
        z: Floats = self.means[u] + self.sds[u] * generator.standard_normal((u.shape[0], self.means.shape[1]))
        return z

    def log_density(self, z: Floats, u: Integers) -> Floats:
        """log p(z_i | u) for each latent: z (N, n) and u (N,) to (N, n), in nats (paper, eq. 2)."""
        standard = (z - self.means[u]) / self.sds[u]
        density: Floats = -0.5 * standard**2 - np.log(self.sds[u]) - 0.5 * np.log(2 * np.pi)
        return density
