"""What all scenarios with artificial latents share: latents of an exponential family and small noise, mixed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np

from nica_bench.dataset import Coordinates, Dataset, Floats, Split
from nica_bench.difficulty import measure_difficulty
from nica_bench.latents import ConditionalFamily
from nica_bench.latents.coordinate import IDENTITY
from nica_bench.mixings import MIXINGS, Mixing, draw_mixing
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["MixedLatents"]

PILOT = 10_000
"""Points on which a preset's mixing is accepted or rejected, apart from those of the dataset."""


@dataclass(frozen=True)
class MixedLatents(Scenario):
    """n latents of a conditional family and D - n noise coordinates of a small standard deviation, mixed into x.

    An implementer gives `family`, `equivalence`, `distribution`, the ranges of its parameters, and `draw_family`.
    The latents' parameters and the mixing are drawn anew for each dataset.

    With `coordinates=natural` what is mixed is v, the family's natural coordinate (log z or logit z), and the dataset's
    latents are v: the theory and every linear correlation look at it, and a volume-preserving mixing of v can be undone
    by a volume-preserving model exactly. With `coordinates=z` both are z itself.
    """

    distribution: ClassVar[type[ConditionalFamily]]
    """The latents' conditional distribution."""

    conditions: int = parameter(5, "number of conditions (classes)", low=2, high=1000)
    samples: int = parameter(50_000, "training points", low=10)
    held_out: int = parameter(10_000, "validation points, and as many test points", low=10)
    mixing: str = parameter(
        "realnvp", "the mixing: realnvp (the paper's), gin, mlp, or a preset easy, medium, hard", choices=tuple(MIXINGS)
    )
    blocks: int = parameter(8, "coupling blocks of the mixing, or layers of mlp", low=1, high=100)
    noise: float = parameter(0.01, "sd of the D - n noise coordinates", low=0)
    clamp: str = parameter(
        "atan",
        "clamp of a realnvp or gin mixing: 2 * .636 atan (the paper's code) or 2 tanh (its text)",
        choices=("atan", "tanh"),
        optional=True,
    )
    scale: float = parameter(1.0, "factor of a realnvp or gin mixing's weights", above=0, optional=True)
    coordinates: str = parameter(
        "z",
        "what is mixed: z, or its natural coordinate (log z for a positive family, logit z for beta)",
        choices=("z", "natural"),
        optional=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        MIXINGS[self.mixing].check(self.mixing, clamp=self.clamp, scale=self.scale)

    @property
    def distribution_name(self) -> str:
        """Name of the latents' distribution."""
        return self.distribution.name

    @property
    def mixed_coordinates(self) -> Coordinates:
        """What `coordinates` says; where the natural coordinate is z itself, both are the same."""
        return "natural" if self.distribution.coordinate is IDENTITY else cast(Coordinates, self.coordinates)

    @abstractmethod
    def draw_family(self, generator: np.random.Generator) -> ConditionalFamily:
        """The latents' distribution with its parameters drawn."""

    def warnings(self) -> list[str]:
        """Say where the theory's conditions are not met."""
        lines = []
        needed = self.latents * len(self.distribution.statistics) + 1
        if self.conditions < needed:
            lines.append(
                f"{self.conditions} conditions are fewer than the n k + 1 = {needed} that the theory asks for: "
                "identifiability is not guaranteed (the paper's second experiment)"
            )
        if self.coordinates == "natural" and not MIXINGS[self.mixing].volume_preserving:
            exact = ", ".join(name for name, recipe in MIXINGS.items() if recipe.volume_preserving)
            lines.append(
                f"mixing={self.mixing} does not preserve volume: a volume-preserving model cannot undo it exactly, "
                f"as the theory asks (it can with mixing={exact})"
            )
        return lines

    def generate(self, seed: int) -> Dataset:
        """Make the dataset of a seed; see the class for what is drawn."""
        streams = Streams(seed)
        family = self.draw_family(streams.numpy("latent parameters"))
        total = self.samples + 2 * self.held_out
        u, sources = self._sources(family, streams, total)
        mixing, drawn = self._draw_mixing(family, streams)
        x, log_det = mixing(sources)
        z = sources[:, : self.latents]
        ends = [0, self.samples, self.samples + self.held_out, total]
        train, validation, test = (
            Split(x[a:b].astype(np.float32), u[a:b], z[a:b].astype(np.float32))
            for a, b in zip(ends, ends[1:], strict=False)
        )
        truth = {
            "family": family.name,
            **family.parameters,
            "coordinates": self.coordinates,
            "mixing": {
                "name": self.mixing,
                "blocks": self.blocks,
                "clamp": self.clamp,
                "scale": self.scale if (fixed := MIXINGS[self.mixing].scale) is None else fixed,
                "volume_preserving": mixing.volume_preserving,
                **drawn,
            },
        }
        difficulty = measure_difficulty(train, test, log_det[: self.samples])
        coordinates = cast(Coordinates, self.coordinates)
        return Dataset(train, validation, test, self.conditions, truth, difficulty, family.name, coordinates)

    def _sources(
        self, family: ConditionalFamily, streams: Streams, total: int, prefix: str = ""
    ) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats]:
        """Conditions (N,), and what is mixed: latents in their coordinates and noise, (N, D)."""
        u = streams.numpy(f"{prefix}conditions").integers(self.conditions, size=total)
        z = family.convert(
            family.sample(streams.numpy(f"{prefix}latents"), u), "z", cast(Coordinates, self.coordinates)
        )
        noise = streams.numpy(f"{prefix}noise").standard_normal((total, self.dimensions - self.latents))
        return u, np.hstack([z, self.noise * noise])

    def _draw_mixing(self, family: ConditionalFamily, streams: Streams) -> tuple[Mixing, dict[str, Any]]:
        """The mixing, judged on a pilot sample where it is one that may be rejected."""
        judged = MIXINGS[self.mixing].acceptance is not None
        _, pilot = self._sources(family, streams, PILOT if judged else 0, "pilot ")
        return draw_mixing(
            self.mixing,
            streams,
            self.dimensions,
            pilot,
            self.latents,
            blocks=self.blocks,
            clamp=cast(Literal["atan", "tanh"], self.clamp),
            scale=self.scale,
        )
