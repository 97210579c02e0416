"""The mixings by name: three kinds, and three presets of stated difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nica_bench.dataset import Floats
from nica_bench.difficulty import linear_correlation
from nica_bench.errors import UsageError
from nica_bench.mixings.mixing import Layer, Mixing
from nica_bench.mixings.width import subnet_width
from nica_bench.parameters import Range
from nica_bench.seeds import Streams

if TYPE_CHECKING:
    import torch

__all__ = ["MIXINGS", "Acceptance", "Recipe", "draw_mixing"]

Kind = Literal["realnvp", "gin", "mlp"]
Clamp = Literal["atan", "tanh"]

LEAKY_SLOPE = 0.2
"""Slope of the `mlp` mixing below zero, as in the published code of iVAE and TCL."""


@dataclass(frozen=True)
class Acceptance:
    """Which draws of a mixing are kept, judged on a pilot sample.

    Args:
        linear_r: range of the mean correlation of z with its held-out linear regression on x.
        max_sd: the largest standard deviation of a coordinate of x is below it.
        tries: draws before giving up.
    """

    linear_r: Range
    max_sd: float
    tries: int = 200

    def accepts(self, figures: Mapping[str, float]) -> bool:
        """Whether a mixing with these figures is kept."""
        return self.linear_r.low <= figures["linear_r"] <= self.linear_r.high and figures["max_sd"] < self.max_sd


@dataclass(frozen=True)
class Recipe:
    """How a named mixing is drawn.

    - "realnvp": affine coupling blocks with a random permutation before each, every layer of the subnets drawn as
      `torch.nn.Linear` draws it. The paper's (section 4.3.1); nearly linear, and it does not preserve volume.
    - "gin": the same with volume-preserving couplings, and a random rotation after each block, without which it leaves
      single latents nearly readable in single coordinates. log|det| is 0.
    - "mlp": random orthogonal layers with a leaky ReLU between each two.

    Args:
        kind: one of the above.
        help: one line.
        scale: factor of all weights and biases, set by a preset; None where the user may give it.
        acceptance: which draws are kept; None for all.
    """

    kind: Kind
    help: str
    scale: float | None = None
    acceptance: Acceptance | None = None

    @property
    def volume_preserving(self) -> bool:
        """Whether its mixings have log|det| = 0 everywhere."""
        return self.kind == "gin"

    def check(self, name: str, *, clamp: str, scale: float) -> None:
        """Raise UsageError where a clamp or scale is given that the recipe has no use for.

        Args:
            name: of the recipe, for the message.
            clamp, scale: as the user gave them; "atan" and 1 are the defaults.
        """
        if scale != 1 and (self.kind == "mlp" or self.scale is not None):
            why = "its layers are orthogonal" if self.kind == "mlp" else f"it sets its own, {self.scale:g}"
            raise UsageError(f"mixing={name} takes no scale ({why}), got scale={scale:g}; expected scale=1")
        if clamp != "atan" and (self.kind == "mlp" or self.scale is not None):
            raise UsageError(f"mixing={name} takes no clamp, got clamp={clamp}; expected clamp=atan")

    def draw(
        self, generator: torch.Generator, dimensions: int, *, blocks: int, clamp: Clamp = "atan", scale: float = 1.0
    ) -> Mixing:
        """One mixing, whether it would be accepted or not.

        Args:
            generator: CPU generator.
            dimensions: observed dimensions D.
            blocks: coupling blocks, or layers of an MLP.
            clamp: bound of the couplings' log-scales: "atan" as in the paper's code, or its text's 2 tanh.
            scale: factor of all weights and biases; the recipe's own goes before it.
        """
        import torch

        from nica_bench.flows import Flow
        from nica_bench.mixings.layers import LeakyReLU, Rotation

        layers: list[Layer] = []
        if self.kind == "mlp":
            for i in range(blocks):
                layers += [LeakyReLU(LEAKY_SLOPE)] if i else []
                layers += [Rotation(generator, dimensions)]
            return Mixing(layers)
        width = subnet_width(dimensions)
        factor = scale if self.scale is None else self.scale
        apart = self.kind == "gin"
        for _ in range(blocks if apart else 1):
            flow = Flow(
                [generator],
                dimensions,
                blocks=1 if apart else blocks,
                hidden=(width, width),
                coupling=self.kind,
                clamp=clamp,
                identity=False,
                dtype=torch.float64,
            ).requires_grad_(False)
            if factor != 1:
                for weights in flow.parameters():
                    weights.mul_(factor)
            layers += [flow, Rotation(generator, dimensions)] if apart else [flow]
        return Mixing(layers)


MIXINGS: Mapping[str, Recipe] = {
    "realnvp": Recipe("realnvp", "random affine couplings, the paper's"),
    "gin": Recipe("gin", "random volume-preserving couplings with rotations between"),
    "mlp": Recipe("mlp", "random orthogonal layers with leaky ReLUs between; blocks is its depth"),
    "easy": Recipe("realnvp", "the paper's: nearly linear", scale=1.0),
    "medium": Recipe("gin", "gin with weights x 0.9", scale=0.9),
    "hard": Recipe(
        "realnvp", "realnvp with weights x 1.2, far from linear but not absurd", 1.2, Acceptance(Range(0.85, 0.95), 50)
    ),
}
"""The names `mixing=` takes."""


def draw_mixing(
    name: str,
    streams: Streams,
    dimensions: int,
    pilot: Floats,
    latents: int,
    *,
    blocks: int = 8,
    clamp: Clamp = "atan",
    scale: float = 1.0,
) -> tuple[Mixing, dict[str, float]]:
    """The mixing of a dataset, and what of its drawing belongs into the record.

    Args:
        name: one of `MIXINGS`.
        streams: of the dataset; the axis is "mixing", and "mixing 2", "mixing 3", ... where draws are rejected.
        dimensions: observed dimensions D.
        pilot: points (N, D) on which a draw is judged, the latents first. Not the dataset's own, so that a dataset's
            mixing does not depend on its number of points.
        latents: number of latents n.
        blocks, clamp, scale: see `Recipe.draw`.

    Returns:
        The mixing; and how many draws were rejected with the pilot's figures of the accepted one, empty where the
        recipe keeps all.

    Raises:
        UsageError: if no draw was accepted.
    """
    recipe = MIXINGS[name]
    acceptance = recipe.acceptance
    tries = 1 if acceptance is None else acceptance.tries
    for i in range(tries):
        generator = streams.torch("mixing" if i == 0 else f"mixing {i + 1}")
        mixing = recipe.draw(generator, dimensions, blocks=blocks, clamp=clamp, scale=scale)
        if acceptance is None:
            return mixing, {}
        figures = _judge(mixing, pilot, latents)
        if acceptance.accepts(figures):
            return mixing, {"rejected": i, **{f"pilot_{key}": value for key, value in figures.items()}}
    assert acceptance is not None
    raise UsageError(
        f"mixing={name}: none of {tries} draws has a linear r in {acceptance.linear_r} and standard deviations below "
        f"{acceptance.max_sd:g} on these latents with blocks={blocks}; expected another mixing or number of blocks"
    )


def _judge(mixing: Mixing, pilot: Floats, latents: int) -> dict[str, float]:
    """`linear_r`, learned on one half of the pilot and measured on the other, and `max_sd`."""
    x, _ = mixing(pilot)
    if not np.isfinite(x).all():
        return {"linear_r": 0.0, "max_sd": np.inf}
    z, half = pilot[:, :latents], len(pilot) // 2
    return {
        "linear_r": linear_correlation(x[:half], z[:half], x[half:], z[half:]),
        "max_sd": float(x.std(0).max()),
    }
