"""The mixings by name: three kinds, and three presets of stated difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nica_bench.errors import UsageError
from nica_bench.mixings.mixing import Layer, Mixing
from nica_bench.mixings.width import subnet_width
from nica_bench.parameters import Range
from nica_bench.seeds import Streams

if TYPE_CHECKING:
    import torch

__all__ = ["MIXINGS", "Acceptance", "Recipe", "draw_mixings"]

Kind = Literal["realnvp", "gin", "mlp"]
Clamp = Literal["atan", "tanh"]

LEAKY_SLOPE = 0.2
"""Slope of the `mlp` mixing below zero, as in the published code of iVAE and TCL."""


@dataclass(frozen=True)
class Acceptance:
    """Which draws of a mixing are kept, by the difficulty of the dataset they make (`nica_bench.metrics.difficulty`).

    Args:
        linear_r: range of the mean correlation of z with its held-out linear regression on x.
        max_sd: the largest standard deviation of a coordinate of x is below it.
        tries: draws before giving up.
    """

    linear_r: Range
    max_sd: float
    tries: int = 200

    def __str__(self) -> str:
        return f"linear r in {self.linear_r}, largest sd below {self.max_sd:g}"


@dataclass(frozen=True)
class Recipe:
    """How a named mixing is drawn.

    - "realnvp": affine coupling blocks with a random permutation before each, every layer of the subnets drawn as
      `torch.nn.Linear` draws it. The paper's (section 4.3.1); it does not preserve volume.
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

    def accepts(self, difficulty: Mapping[str, float], slack: float = 0.0) -> bool:
        """Whether a mixing that makes a dataset of this difficulty is kept.

        Args:
            difficulty: its figures by name; `linear_r` and `max_sd` are looked at.
            slack: how far the linear r may lie outside its range: for figures of a few points.
        """
        wanted = self.acceptance
        return wanted is None or (
            wanted.linear_r.low - slack <= difficulty["linear_r"] <= wanted.linear_r.high + slack
            and difficulty["max_sd"] < wanted.max_sd
        )

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
        self, generator: torch.Generator, n_observed: int, *, blocks: int, clamp: Clamp = "atan", scale: float = 1.0
    ) -> Mixing:
        """One mixing, whether it would be accepted or not.

        Args:
            generator: CPU generator.
            n_observed: observed dimensions D.
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
                layers += [Rotation(generator, n_observed)]
            return Mixing(layers)
        width = subnet_width(n_observed)
        factor = scale if self.scale is None else self.scale
        apart = self.kind == "gin"
        for _ in range(blocks if apart else 1):
            flow = Flow(
                [generator],
                n_observed,
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
            layers += [flow, Rotation(generator, n_observed)] if apart else [flow]
        return Mixing(layers)


MIXINGS: Mapping[str, Recipe] = {
    "realnvp": Recipe("realnvp", "random affine couplings, the paper's"),
    "gin": Recipe("gin", "random volume-preserving couplings with rotations between"),
    "mlp": Recipe("mlp", "random orthogonal layers with leaky ReLUs between; blocks is its depth"),
    "easy": Recipe("realnvp", "the paper's", scale=1.0),
    "medium": Recipe("gin", "gin with weights x 0.9", scale=0.9),
    "hard": Recipe(
        "realnvp", "realnvp with weights x 1.2, of limited difficulty", 1.2, Acceptance(Range(0.85, 0.95), 50)
    ),
}
"""The names `mixing=` takes."""


def draw_mixings(
    name: str,
    streams: Streams,
    n_observed: int,
    *,
    blocks: int = 8,
    clamp: Clamp = "atan",
    scale: float = 1.0,
) -> Iterator[Mixing]:
    """The mixings that a dataset may get, one after another: take the first whose difficulty the recipe accepts.

    Args:
        name: one of `MIXINGS`.
        streams: of the dataset; the axis is "mixing" for the first, then "mixing 2", "mixing 3", ...
        n_observed: observed dimensions D.
        blocks, clamp, scale: see `Recipe.draw`.

    Raises:
        UsageError: when one more is asked for than the recipe's limit.
    """
    recipe = MIXINGS[name]
    tries = 1 if recipe.acceptance is None else recipe.acceptance.tries
    for i in range(tries):
        generator = streams.torch("mixing" if i == 0 else f"mixing {i + 1}")
        yield recipe.draw(generator, n_observed, blocks=blocks, clamp=clamp, scale=scale)
    raise UsageError(
        f"mixing={name}: none of {tries} draws is as hard as it should be ({recipe.acceptance}) on these latents with "
        f"blocks={blocks}; expected another mixing, other ranges or more samples"
    )
