"""`gauss-<n>of<D>`: conditional Gaussian latents, the paper's artificial experiments (section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np

from nica_bench.dataset import Dataset, Split
from nica_bench.difficulty import measure_difficulty
from nica_bench.latents import ConditionalNormal
from nica_bench.mixings import MIXINGS, Mixing
from nica_bench.parameters import Range, parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["Gauss"]

SUFFICIENT_STATISTICS = 2
"""k of the normal family: z and z^2."""


@dataclass(frozen=True)
class Gauss(Scenario):
    """Conditional Gaussian latents and small noise, mixed by a random RealNVP.

    n latents are normal given the condition, with means and variances drawn anew for each dataset; D - n coordinates
    are independent noise of a small standard deviation; a random invertible network mixes all D into x. The theory
    promises the latents up to a permutation and a component-wise affine map where there are n k + 1 conditions or more
    (k = 2; paper, section 3.1 and eq. 7).
    """

    family: ClassVar[str] = "gauss"
    equivalence: ClassVar[str] = "component-wise affine"

    conditions: int = parameter(5, "number of conditions (classes)", low=2, high=1000)
    samples: int = parameter(50_000, "training points", low=10)
    held_out: int = parameter(10_000, "validation points, and as many test points", low=10)
    mixing: str = parameter("realnvp", "the mixing: realnvp is the paper's", choices=MIXINGS)
    blocks: int = parameter(8, "coupling blocks of the mixing", low=1, high=100)
    noise: float = parameter(0.01, "sd of the D - n noise coordinates", low=0)
    spread: str = parameter(
        "variance", "what the spreads are: the paper's variances or its code's std", choices=("variance", "std")
    )
    means: Range = parameter(Range(-5.0, 5.0), "range of the latents' means")
    spreads: Range = parameter(Range(0.5, 3.0), "range of the latents' variances (or std)", above=0)

    def warnings(self) -> list[str]:
        """Say where the theory's condition on the number of conditions is not met."""
        needed = self.latents * SUFFICIENT_STATISTICS + 1
        if self.conditions >= needed:
            return []
        return [
            f"{self.conditions} conditions are fewer than the n k + 1 = {needed} that the theory asks for: "
            "identifiability is not guaranteed (the paper's second experiment)"
        ]

    def generate(self, seed: int) -> Dataset:
        """Make the dataset of a seed; see the class for what is drawn."""
        streams = Streams(seed)
        family = ConditionalNormal.draw(
            streams.numpy("latent parameters"),
            self.conditions,
            self.latents,
            means=self.means,
            spreads=self.spreads,
            spread=cast(Literal["variance", "std"], self.spread),
        )
        total = self.samples + 2 * self.held_out
        u = streams.numpy("conditions").integers(self.conditions, size=total)
        z = family.sample(streams.numpy("latents"), u)
        noise = self.noise * streams.numpy("noise").standard_normal((total, self.dimensions - self.latents))
        x, log_det = Mixing.draw(streams, self.dimensions, blocks=self.blocks)(np.hstack([z, noise]))
        ends = [0, self.samples, self.samples + self.held_out, total]
        train, validation, test = (
            Split(x[a:b].astype(np.float32), u[a:b], z[a:b].astype(np.float32))
            for a, b in zip(ends, ends[1:], strict=False)
        )
        truth = {
            "family": "normal",
            "means": family.means.tolist(),
            "sds": family.sds.tolist(),
            "mixing": {"name": self.mixing, "blocks": self.blocks},
        }
        difficulty = measure_difficulty(train, test, log_det[: self.samples])
        return Dataset(train, validation, test, self.conditions, truth, difficulty)
