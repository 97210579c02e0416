"""The base class of artificial scenarios: latents of an exponential family and small noise, mixed."""

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
"""The number of points per split on which the difficulty of a mixing is estimated first."""
SLACK = 0.03
"""The tolerance of that estimate of the linear r, since its error is large if x has heavy tails."""


@dataclass(frozen=True)
class MixedLatents(Scenario):
    """n latents of a conditional family and D - n noise coordinates of a small standard deviation, mixed into x.

    A subclass defines `family`, `equivalence`, `distribution`, the ranges of its parameters, and `draw_family`. The
    parameters of the latents and the mixing are drawn for each dataset.

    With `coordinates=natural` the natural coordinates v of the family (log z or logit z) are mixed, and the latents of
    the dataset are v: the theory and all linear correlations refer to v, and a volume-preserving model can invert a
    volume-preserving mixing of v exactly. With `coordinates=z` the latents z are mixed.

    A mixing with a range of accepted difficulties (`hard`) is drawn until the difficulty of the dataset is in that
    range, so a dataset with another number of points may have another mixing.
    """

    distribution: ClassVar[type[ConditionalFamily]]
    """The conditional distribution of the latents."""

    n_latents: int
    conditions: int = parameter(5, "number of conditions (classes)", low=2, high=1000)
    samples: int = parameter(50_000, "training points", low=10)
    held_out: int = parameter(10_000, "validation points, and as many test points", low=10)
    mixing: str = parameter(
        "realnvp", "mixing: realnvp (as in the paper), gin, mlp, or a preset easy, medium, hard", choices=tuple(MIXINGS)
    )
    blocks: int = parameter(8, "coupling blocks of the mixing, or layers of mlp", low=1, high=100)
    noise: float = parameter(0.01, "std of the D - n noise coordinates", low=0)
    clamp: str = parameter(
        "atan",
        "clamp of a realnvp or gin mixing: 2 * .636 atan (as in the paper's code) or 2 tanh (as in its text)",
        choices=("atan", "tanh"),
        optional=True,
    )
    scale: float = parameter(1.0, "factor of the weights of a realnvp or gin mixing", above=0, optional=True)
    coordinates: str = parameter(
        "z",
        "coordinates that are mixed: z, or natural (log z for a positive family, logit z for beta)",
        choices=("z", "natural"),
        optional=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        MIXINGS[self.mixing].check(self.mixing, clamp=self.clamp, scale=self.scale)

    @property
    def distribution_name(self) -> str:
        """The name of the distribution of the latents."""
        return self.distribution.name

    @property
    def mixed_coordinates(self) -> Coordinates:
        """The value of `coordinates`, or `natural` if the natural coordinate is z itself."""
        return "natural" if self.distribution.coordinate is IDENTITY else cast(Coordinates, self.coordinates)

    @abstractmethod
    def draw_family(self, generator: np.random.Generator) -> ConditionalFamily:
        """Return the distribution of the latents, with drawn parameters."""

    def warnings(self) -> list[str]:
        """Return a warning for each assumption of the theory that is not met."""
        lines = []
        needed = self.n_latents * len(self.distribution.statistics) + 1
        if self.conditions < needed:
            lines.append(
                f"{self.conditions} conditions are fewer than the n k + 1 = {needed} that the theory requires: "
                "identifiability is not guaranteed (the paper's second experiment)"
            )
        if self.coordinates == "natural" and not MIXINGS[self.mixing].volume_preserving:
            exact = ", ".join(name for name, recipe in MIXINGS.items() if recipe.volume_preserving)
            lines.append(
                f"mixing={self.mixing} does not preserve volume: a volume-preserving model cannot invert it exactly, "
                f"as the theory requires (it can with mixing={exact})"
            )
        return lines

    def generate(self, seed: int) -> Dataset:
        """Return the dataset of a seed; see the class for the random quantities."""
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
        """Return the splits under the first accepted mixing, their difficulty, log|det|, and facts of the mixing."""
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
        """Return -log p(x|u) of the validation data under the true distribution, in nats per dimension.

        It is the lowest expected loss of a model; None without noise, since x then has no density.
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
        """Return training, validation and test data in single precision."""
        first, second = self.samples, self.samples + self.held_out

        def part(rows: slice) -> Split:
            return Split(x[rows].astype(np.float32), u[rows], z[rows].astype(np.float32))

        return part(slice(first)), part(slice(first, second)), part(slice(second, None))

    def _few(self, mixing: Mixing, sources: Floats) -> dict[str, float]:
        """Return the difficulty on a few points, which rejects most mixings at a tenth of the cost."""
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
