"""What all scenarios with artificial latents share: latents of an exponential family and small noise, mixed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np

from nica_bench.dataset import Coordinates, Dataset, Floats, Integers, Split
from nica_bench.latents import ConditionalFamily
from nica_bench.latents.coordinate import IDENTITY
from nica_bench.metrics.difficulty import linear_correlation, measure_difficulty
from nica_bench.mixings import MIXINGS, Mixing, draw_mixings
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["MixedLatents"]

FEW = 4_000
"""Points of a part on which a draw of the mixing is first judged."""
SLACK = 0.03
"""How far their linear r may lie outside the range: its error where x has heavy tails."""


@dataclass(frozen=True)
class MixedLatents(Scenario):
    """n latents of a conditional family and D - n noise coordinates of a small standard deviation, mixed into x.

    An implementer gives `family`, `equivalence`, `distribution`, the ranges of its parameters, and `draw_family`.
    The latents' parameters and the mixing are drawn anew for each dataset.

    With `coordinates=natural` what is mixed is v, the family's natural coordinate (log z or logit z), and the dataset's
    latents are v: the theory and every linear correlation look at it, and a volume-preserving mixing of v can be undone
    by a volume-preserving model exactly. With `coordinates=z` both are z itself.

    A mixing that is accepted by its difficulty (`hard`) is drawn again until the dataset's own figures are in range; so
    another number of points may have another mixing.
    """

    distribution: ClassVar[type[ConditionalFamily]]
    """The latents' conditional distribution."""

    n_latents: int
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
        needed = self.n_latents * len(self.distribution.statistics) + 1
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
        u = streams.numpy("conditions").integers(self.conditions, size=total)
        coordinates = cast(Coordinates, self.coordinates)
        z = family.convert(family.sample(streams.numpy("latents"), u), "z", coordinates)
        noise = self.noise * streams.numpy("noise").standard_normal((total, self.n_observed - self.n_latents))
        sources = np.hstack([z, noise])
        splits, difficulty, log_det, drawn = self._mix(streams, sources, u)
        truth = {
            "family": family.name,
            **family.parameters,
            "coordinates": coordinates,
            "mixing": drawn,
            "oracle_loss": self._oracle_loss(family, sources, u, log_det),
        }
        return Dataset(*splits, self.conditions, truth, difficulty, family.name, coordinates)

    def _mix(
        self, streams: Streams, sources: Floats, u: Integers
    ) -> tuple[tuple[Split, Split, Split], dict[str, float], Floats, dict[str, Any]]:
        """The splits under the first mixing that the recipe accepts, their difficulty, log|det|, and what was drawn."""
        recipe = MIXINGS[self.mixing]
        for rejected, mixing in enumerate(self._mixings(streams)):
            if recipe.acceptance is None or recipe.accepts(self._few(mixing, sources), SLACK):
                x, log_det = mixing(sources)
                splits = self._split(x, u, sources[:, : self.n_latents])
                difficulty = measure_difficulty(splits[0], splits[2], log_det[: self.samples])
                if recipe.accepts(difficulty):
                    drawn = {
                        "name": self.mixing,
                        "blocks": self.blocks,
                        "clamp": self.clamp,
                        "scale": self.scale if recipe.scale is None else recipe.scale,
                        "volume_preserving": mixing.volume_preserving,
                    }
                    if recipe.acceptance is not None:
                        drawn["rejected"] = rejected
                    return splits, difficulty, log_det, drawn
        raise AssertionError("the draws end with an error")

    def _oracle_loss(self, family: ConditionalFamily, sources: Floats, u: Integers, log_det: Floats) -> float | None:
        """-log p(x|u) of the validation data under the truth, in nats a dimension: no model's loss is lower for long.

        None where there is no noise, so that x has no density.
        """
        if not self.noise and self.n_observed > self.n_latents:
            return None
        rows = slice(self.samples, self.samples + self.held_out)
        latents, noise = np.split(sources[rows], [self.n_latents], axis=1)
        v = family.convert(latents, cast(Coordinates, self.coordinates), "natural")
        log_p = family.log_density_natural(v, u[rows]).sum(1)
        if self.coordinates == "z":
            log_p += family.coordinate.log_slope(v).sum(1)
        log_p -= (
            (0.5 * (noise / self.noise) ** 2 + np.log(self.noise) + 0.5 * np.log(2 * np.pi)).sum(1) if noise.size else 0
        )
        return float((log_det[rows] - log_p).mean() / self.n_observed)

    def _split(self, x: Floats, u: Integers, z: Floats) -> tuple[Split, Split, Split]:
        """Train, validation and test, in single precision."""
        first, second = self.samples, self.samples + self.held_out

        def part(rows: slice) -> Split:
            return Split(x[rows].astype(np.float32), u[rows], z[rows].astype(np.float32))

        return part(slice(first)), part(slice(first, second)), part(slice(second, None))

    def _few(self, mixing: Mixing, sources: Floats) -> dict[str, float]:
        """A difficulty from the first training and the last test points: most draws fail on it, at a tenth the cost."""
        train, test = min(self.samples, FEW), min(self.held_out, FEW)
        s = np.vstack([sources[:train], sources[-test:]])
        x, z = mixing(s)[0], s[:, : self.n_latents]
        return {
            "linear_r": linear_correlation(x[:train], z[:train], x[train:], z[train:]),
            "max_sd": float(x[:train].std(0).max()),
        }

    def _mixings(self, streams: Streams) -> Iterator[Mixing]:
        return draw_mixings(
            self.mixing,
            streams,
            self.n_observed,
            blocks=self.blocks,
            clamp=cast(Literal["atan", "tanh"], self.clamp),
            scale=self.scale,
        )
