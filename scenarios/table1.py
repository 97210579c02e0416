"""The non-Gaussian families of the paper's Table 1: `lognormal-`, `inverse-gaussian-`, `gamma-`, `inverse-gamma-` and
`beta-<n>of<D>`.

The default ranges of the parameters are chosen so that the means of the conditions lie a few of their own standard
deviations apart, as those of `gauss` do: neither the spread between conditions nor that within them is negligible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nica_bench.latents import (
    ConditionalBeta,
    ConditionalGamma,
    ConditionalInverseGamma,
    ConditionalInverseGaussian,
    ConditionalLognormal,
)
from nica_bench.parameters import Range, parameter
from nica_bench.scenarios.mixed import MixedLatents

__all__ = ["Beta", "Gamma", "InverseGamma", "InverseGaussian", "Lognormal"]


@dataclass(frozen=True)
class Lognormal(MixedLatents):
    """Conditional lognormal latents and small noise, mixed by a random network."""

    family = "lognormal"
    distribution = ConditionalLognormal
    equivalence = ConditionalLognormal.promise.text

    means: Range = parameter(Range(-1.0, 1.2), "range of the means of log z")
    spreads: Range = parameter(Range(0.04, 0.2), "range of the variances of log z", above=0)

    def draw_family(self, generator: np.random.Generator) -> ConditionalLognormal:
        """Return the distribution, with means and variances of log z uniform on their ranges."""
        return ConditionalLognormal.draw(
            generator, self.conditions, self.n_latents, means=self.means, spreads=self.spreads
        )


@dataclass(frozen=True)
class InverseGaussian(MixedLatents):
    """Conditional inverse-Gaussian latents and small noise, mixed by a random network."""

    family = "inverse-gaussian"
    distribution = ConditionalInverseGaussian
    equivalence = ConditionalInverseGaussian.promise.text

    means: Range = parameter(Range(0.2, 0.8), "range of the means", above=0)
    shapes: Range = parameter(Range(0.5, 3.0), "range of the shapes (variance = mean^3 / shape)", above=0)

    def draw_family(self, generator: np.random.Generator) -> ConditionalInverseGaussian:
        """Return the distribution, with means and shapes uniform on their ranges."""
        return ConditionalInverseGaussian.draw(
            generator, self.conditions, self.n_latents, means=self.means, shapes=self.shapes
        )


@dataclass(frozen=True)
class Gamma(MixedLatents):
    """Conditional gamma latents and small noise, mixed by a random network."""

    family = "gamma"
    distribution = ConditionalGamma
    equivalence = ConditionalGamma.promise.text

    shapes: Range = parameter(Range(3.0, 12.0), "range of the shapes", above=0)
    scales: Range = parameter(Range(0.04, 0.17), "range of the scales", above=0)

    def draw_family(self, generator: np.random.Generator) -> ConditionalGamma:
        """Return the distribution, with shapes and scales uniform on their ranges."""
        return ConditionalGamma.draw(generator, self.conditions, self.n_latents, shapes=self.shapes, scales=self.scales)


@dataclass(frozen=True)
class InverseGamma(MixedLatents):
    """Conditional inverse-gamma latents and small noise, mixed by a random network."""

    family = "inverse-gamma"
    distribution = ConditionalInverseGamma
    equivalence = ConditionalInverseGamma.promise.text

    shapes: Range = parameter(Range(6.0, 15.0), "range of the shapes", above=0)
    scales: Range = parameter(Range(6.0, 25.0), "range of the scales", above=0)

    def draw_family(self, generator: np.random.Generator) -> ConditionalInverseGamma:
        """Return the distribution, with shapes and scales uniform on their ranges."""
        return ConditionalInverseGamma.draw(
            generator, self.conditions, self.n_latents, shapes=self.shapes, scales=self.scales
        )


@dataclass(frozen=True)
class Beta(MixedLatents):
    """Conditional beta latents and small noise, mixed by a random network."""

    family = "beta"
    distribution = ConditionalBeta
    equivalence = ConditionalBeta.promise.text

    alphas: Range = parameter(Range(1.0, 5.0), "range of alpha, the exponent of z", above=0)
    betas: Range = parameter(Range(1.0, 5.0), "range of beta, the exponent of 1 - z", above=0)

    def draw_family(self, generator: np.random.Generator) -> ConditionalBeta:
        """Return the distribution, with alphas and betas uniform on their ranges."""
        return ConditionalBeta.draw(generator, self.conditions, self.n_latents, alphas=self.alphas, betas=self.betas)
