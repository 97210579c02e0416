"""`gauss-<n>of<D>`: conditional Gaussian latents, as in the artificial experiments of the paper (section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from nica_bench.latents import ConditionalNormal
from nica_bench.parameters import Range, parameter
from nica_bench.scenarios.mixed import MixedLatents

__all__ = ["Gauss"]


@dataclass(frozen=True)
class Gauss(MixedLatents):
    """Conditional Gaussian latents and small noise, mixed by a random RealNVP.

    The n latents are normal given the condition, with means and variances drawn for each dataset; D - n coordinates are
    independent noise of a small standard deviation; a random invertible network mixes all D into x. With n k + 1
    conditions or more the latents are identifiable up to a permutation and a component-wise affine map (k = 2; paper,
    section 3.1 and eq. 7). Their natural coordinate is z itself.
    """

    family = "gauss"
    distribution = ConditionalNormal
    equivalence = ConditionalNormal.promise.text

    spread: str = parameter(
        "variance",
        "meaning of spreads: variances, as in the paper, or std, as in its code",
        choices=("variance", "std"),
    )
    means: Range = parameter(Range(-5.0, 5.0), "range of the latents' means")
    spreads: Range = parameter(Range(0.5, 3.0), "range of the latents' variances (or std)", above=0)

    def draw_family(self, generator: np.random.Generator) -> ConditionalNormal:
        """Return the distribution, with means and variances (or std) uniform on their ranges."""
        return ConditionalNormal.draw(
            generator,
            self.conditions,
            self.n_latents,
            means=self.means,
            spreads=self.spreads,
            spread=cast(Literal["variance", "std"], self.spread),
        )
