"""The contract of a conditional exponential family."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nica_bench.dataset import Coordinates, Floats, Integers
from nica_bench.errors import UsageError
from nica_bench.latents.coordinate import Coordinate
from nica_bench.parameters import Range

__all__ = ["ConditionalFamily", "Promise"]


@dataclass(frozen=True)
class Promise:
    """What the theory promises of a true latent as a function of its estimate, in the natural coordinate (Table 1).

    true v = slope * estimated v + intercept, for data mixed in v by a volume-preserving map and an estimate whose base
    density is of the same family.

    Args:
        slopes: the slopes that are possible; empty where any is.
        intercept: the intercept; None where any is possible.
        text: the same in terms of a latent z and its estimate w.
    """

    slopes: tuple[float, ...]
    intercept: float | None
    text: str

    @property
    def expected(self) -> str:
        """In words: `slope free, intercept free`, `slope 1 or -1, intercept 0`."""
        slope = " or ".join(f"{s:g}" for s in self.slopes) or "free"
        return f"slope {slope}, intercept {'free' if self.intercept is None else f'{self.intercept:g}'}"

    def slope_error(self, slope: float) -> float | None:
        """Distance of a slope from the nearest promised one; None where any is possible."""
        return min((abs(slope - s) for s in self.slopes), default=None)


@dataclass(frozen=True)
class ConditionalFamily(ABC):
    """Independent latents given a condition, each of one two-parameter exponential family (paper, eq. 2).

    A subclass is a frozen dataclass whose fields are its parameters, arrays of shape (conditions, n). It must give the
    class attributes, `log_density_natural`, `sufficient_statistics` and `_sample`, and says by `draw` how its
    parameters come about; may give `log_base_measure`.

    Raises:
        UsageError: if the parameters' shapes differ, one is not finite, or one that must be positive is not.
    """

    name: ClassVar[str]
    """Its name in `FAMILIES`."""
    coordinate: ClassVar[Coordinate]
    """The natural coordinate v, and with it the support."""
    statistics: ClassVar[tuple[str, ...]]
    """The sufficient statistics T(z) in words; k is their number."""
    promise: ClassVar[Promise]
    """What the theory promises to recover the latents up to."""
    positive: ClassVar[tuple[str, ...]]
    """Names of the parameters that must be positive."""

    def __post_init__(self) -> None:
        names = [f.name for f in dataclasses.fields(self)]
        values = [getattr(self, name) for name in names]
        if len({v.shape for v in values}) != 1 or values[0].ndim != 2:
            shapes = " and ".join(str(v.shape) for v in values)
            raise UsageError(f"{' and '.join(names)} need one shape (conditions, n), got {shapes}")
        for name, value in zip(names, values, strict=True):
            if not np.isfinite(value).all():
                raise UsageError(f"{name} must be finite, got {value[~np.isfinite(value)][0]}")
            if name in self.positive and not (value > 0).all():
                raise UsageError(f"{name} must be positive, got {value.min():g}")

    @classmethod
    def _uniform(cls, generator: np.random.Generator, conditions: int, n_latents: int, *ranges: Range) -> Self:
        """Parameters drawn uniformly, one range each, in the order of the fields."""
        return cls(*(generator.uniform(r.low, r.high, (conditions, n_latents)) for r in ranges))

    @property
    def n_latents(self) -> int:
        """Number of latents, n."""
        first: Floats = getattr(self, dataclasses.fields(self)[0].name)
        return int(first.shape[1])

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters by name as nested lists (conditions, n), for a record."""
        return {f.name: getattr(self, f.name).tolist() for f in dataclasses.fields(self)}

    def sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        """One latent vector for each condition: u (N,) to z (N, n).

        Every z lies inside the support in float32 too, in which datasets keep it: it has a finite natural coordinate.
        """
        low, high = (np.float32(end) for end in self.coordinate.support)
        z = self._sample(generator, u)
        return np.clip(z, np.nextafter(low, high, dtype=np.float32), np.nextafter(high, low, dtype=np.float32))

    @abstractmethod
    def _sample(self, generator: np.random.Generator, u: Integers) -> Floats:
        """One latent vector for each condition, in float64: u (N,) to z (N, n)."""

    @abstractmethod
    def log_density_natural(self, v: Floats, u: Integers) -> Floats:
        """log p(v_i | u) of each latent's natural coordinate: v (N, n) and u (N,) to (N, n), in nats."""

    def log_density(self, z: Floats, u: Integers) -> Floats:
        """log p(z_i | u) of each latent: z (N, n) and u (N,) to (N, n), in nats; -inf outside the support."""
        inside = self.coordinate.inside(z)
        # Any point of the support in place of those outside, whose density is not taken from it.
        v = self.natural(np.where(inside, z, 0.5))
        return np.where(inside, self.log_density_natural(v, u) + self.coordinate.log_slope(v), -np.inf)

    @classmethod
    @abstractmethod
    def sufficient_statistics(cls, z: Floats) -> Floats:
        """T(z), shape (..., k), for z of shape (...)."""

    @classmethod
    def log_base_measure(cls, z: Floats) -> Floats:
        """log h(z), where log p(z | u) - log h(z) is affine in T(z) for every u; same shape as z."""
        return np.zeros_like(z)

    @classmethod
    def natural(cls, z: Floats) -> Floats:
        """The natural coordinate v of z in the support, any shape."""
        return cls.coordinate.forward(z)

    @classmethod
    def from_natural(cls, v: Floats) -> Floats:
        """The z of a natural coordinate v, any shape."""
        return cls.coordinate.inverse(v)

    @classmethod
    def convert(cls, latents: Floats, of: Coordinates, to: Coordinates) -> Floats:
        """Latents of a dataset from one kind of coordinates to the other, any shape.

        Args:
            latents: a split's `z`.
            of: what they are: the dataset's `coordinates`.
            to: what is wanted, "z" or "natural".
        """
        if of == to:
            return latents
        return cls.natural(latents) if to == "natural" else cls.from_natural(latents)
