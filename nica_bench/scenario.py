"""The scenario contract: a named way to make datasets, whose latents are known unless they are real images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nica_bench.dataset import Coordinates, Dataset
from nica_bench.parameters import check_all, label

__all__ = ["Scenario"]


@dataclass(frozen=True)
class Scenario(ABC):
    """A way to make datasets. A subclass is a frozen dataclass whose fields made by `parameter` are its parameters.

    An implementer must give `family`, `equivalence`, `generate`, and a default to `conditions` and `samples`, which are
    parameters (`conditions: int = parameter(5, ...)`) or, where the data are fixed, `field(default=..., init=False)`.
    It may give the rest.

    Args:
        n_latents: true number of latents n, from the name `<family>-<n>of<D>`; None where there is no truth.
        n_observed: number of observed dimensions D, from the name.
        conditions: number of conditions.
        samples: number of training points; groups are sized by it.
    """

    family: ClassVar[str]
    """First part of the name `<family>-<n>of<D>`; the whole name where `sized` is False."""
    equivalence: ClassVar[str]
    """What the theory promises to recover the latents up to, e.g. "component-wise affine"."""
    sized: ClassVar[bool] = True
    """Whether the name carries `<n>of<D>`."""
    version: ClassVar[str] = "1"
    """Part of every run's key: change it when the same seed gives other data."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings of the data files that it reads, such as ".npz". `-s ./data.npz` makes it with the keyword `path`."""
    default_seeds: ClassVar[str] = "0:10"
    """The datasets of a run that names none."""
    default_training_seeds: ClassVar[int] = 1
    """Initialisations a dataset of a run that does not say."""

    n_latents: int | None
    n_observed: int
    conditions: int
    samples: int

    def __post_init__(self) -> None:
        check_all(self, self.name)

    @property
    def name(self) -> str:
        """The name in the grammar, without parameters: `gauss-2of10`."""
        return f"{self.family}-{self.n_latents}of{self.n_observed}" if self.sized else self.family

    @property
    def label(self) -> str:
        """The name with those parameters that are not at their default: `gauss-2of10[conditions=3]`."""
        return label(self.name, self)

    @classmethod
    def usage(cls) -> str:
        """How it is written: `gauss-<n>of<D>`, `digits`, or for a data file `./FILE.npz`."""
        if cls.suffixes:
            return ", ".join(f"./FILE{suffix}" for suffix in cls.suffixes)
        return f"{cls.family}-<n>of<D>" if cls.sized else cls.family

    def fingerprint(self) -> str | None:
        """Return what identifies the content of the files that the data come from; None where there are none.

        It is part of every run's key, beside the version: other content under the same name makes new runs.
        """
        return None

    @property
    def distribution_name(self) -> str | None:
        """Name of the latents' conditional distribution in `nica_bench.latents.FAMILIES`; None where there is none."""
        return None

    @property
    def mixed_coordinates(self) -> Coordinates:
        """What is mixed: the latents themselves, "z", or their "natural" coordinate (see `Dataset`)."""
        return "z"

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) where x are images, flattened row by row; None for vectors."""
        return None

    @property
    def stand_in_latents(self) -> int | None:
        """The number of latents that a method with side information "n" is given: n, or a stand-in for it."""
        return self.n_latents

    @abstractmethod
    def generate(self, seed: int) -> Dataset:
        """Make the dataset of a seed. The same seed gives the same dataset, another seed another."""

    def unavailable(self) -> str | None:
        """What is missing on this machine to make datasets, and how to get it; None where nothing is."""
        return None

    def warnings(self) -> list[str]:
        """What a reader of the results should know, a line each: e.g. that the theory's condition is not met."""
        return []
