"""`gauss-<n>of<D>`: conditional Gaussian latents, the paper's artificial experiments (section 4.3)."""

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

    n latents are normal given the condition, with means and variances drawn anew for each dataset; D - n coordinates
    are independent noise of a small standard deviation; a random invertible network mixes all D into x. The theory
    promises the latents up to a permutation and a component-wise affine map where there are n k + 1 conditions or more
    (k = 2; paper, section 3.1 and eq. 7). Their natural coordinate is z itself.
    """

    family = "gauss"
    distribution = ConditionalNormal
    equivalence = ConditionalNormal.promise.text

    spread: str = parameter(
        "variance", "what the spreads are: the paper's variances or its code's std", choices=("variance", "std")
    )
    means: Range = parameter(Range(-5.0, 5.0), "range of the latents' means")
    spreads: Range = parameter(Range(0.5, 3.0), "range of the latents' variances (or std)", above=0)

    def draw_family(self, generator: np.random.Generator) -> ConditionalNormal:
        """Means and variances (or standard deviations), uniform on their ranges."""
        return ConditionalNormal.draw(
            generator,
            self.conditions,
            self.n_latents,
            means=self.means,
            spreads=self.spreads,
            spread=cast(Literal["variance", "std"], self.spread),
        )
