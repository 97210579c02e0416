"""Scenarios and methods as objects, and the data of one seed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nica_bench import registry
from nica_bench.api.sources import add_source_to_version
from nica_bench.dataset import Coordinates, Dataset
from nica_bench.errors import UsageError
from nica_bench.method import Method
from nica_bench.scenario import Scenario

__all__ = ["GivenDataset", "load", "make_method", "make_scenario", "texts_of"]


@dataclass(frozen=True)
class GivenDataset(Scenario):
    """A dataset that a program made: the same for every seed, identified by its content."""

    family: ClassVar[str] = "given"
    equivalence: ClassVar[str] = "not stated: the data were given by a program"
    sized: ClassVar[bool] = False
    default_seeds: ClassVar[str] = "0"

    data: Dataset = field(compare=False, repr=False)
    title: str = "data"
    n_latents: int | None = field(default=None, init=False)
    n_observed: int = field(default=0, init=False)
    conditions: int = field(default=1, init=False)
    samples: int = field(default=0, init=False)
    digest: str = field(default="", init=False)

    def __post_init__(self) -> None:
        data = self.data
        super().__post_init__()
        content = hashlib.sha256()
        facts: list[Any] = [data.conditions, data.family, data.coordinates, data.image_shape, data.stand_in_latents]
        for split in data.splits:
            arrays = [array for array in (split.x, split.u, split.z) if array is not None]
            facts += [(str(array.dtype), array.shape) for array in arrays]
            for array in arrays:
                content.update(array.tobytes())
        content.update(repr(facts).encode())
        values = {name: getattr(data, name) for name in ("n_latents", "n_observed", "conditions")}
        values |= {"samples": len(data.train.x), "digest": content.hexdigest()}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """The title."""
        return self.title

    @property
    def distribution_name(self) -> str | None:
        """The dataset's family."""
        return self.data.family

    @property
    def mixed_coordinates(self) -> Coordinates:
        """The dataset's coordinates."""
        return self.data.coordinates

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """The dataset's image shape."""
        return self.data.image_shape

    @property
    def stand_in_latents(self) -> int | None:
        """The dataset's number of latents, or its stand-in."""
        return self.data.stand_in_latents if self.n_latents is None else self.n_latents

    def fingerprint(self) -> str:
        """The first digits of the SHA-256 of the arrays."""
        return f"data-{self.digest[:12]}"

    def generate(self, seed: int) -> Dataset:
        """The dataset, whatever the seed."""
        return self.data


def texts_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as the command line writes them; a pair of numbers is a range."""
    return {
        name: ":".join(map(repr, value)) if isinstance(value, (tuple, list)) and len(value) == 2 else str(value)
        for name, value in parameters.items()
    }


def make_scenario(source: str | os.PathLike[str] | Scenario | Dataset, name: str = "", **parameters: Any) -> Scenario:
    """Make a scenario, whose `generate(seed)` gives a dataset.

    Args:
        source: a name such as "gauss-2of10", with parameters in brackets or not; the path of a data file (.npz, .csv or
            .parquet) or of a scenario's Python file; a scenario; or a dataset, which is the same for every seed.
        name: of a dataset, in tables and in the keys of runs; "data" where it has none.
        parameters: of the scenario, such as `conditions=3`; a `Range` or a pair of numbers for a range.

    Raises:
        UsageError: for an unknown name or parameter, a value out of range, or a file that cannot be read.
    """
    if isinstance(source, Dataset):
        if parameters:
            raise UsageError(f"a dataset has no parameters, got {', '.join(parameters)}")
        return GivenDataset(source, name or "data")
    if name:
        raise UsageError(f"a name is for a dataset, got name='{name}' with {source!r}")
    if isinstance(source, Scenario):
        add_source_to_version(type(source))
        return dataclasses.replace(source, **parameters) if parameters else source
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(f"a scenario is a name, a file, a Scenario or a Dataset, got {type(source).__name__}")
    return registry.make_scenario(os.fspath(source), texts_of(parameters))


def make_method(source: str | os.PathLike[str], **parameters: Any) -> Method:
    """Make a method from its name or Python file, for example `make_method("gin", lr=1e-3)`.

    Raises:
        UsageError: for an unknown name or parameter, a value out of range, or a file that does not import.
    """
    method = registry.make_method(os.fspath(source))
    return registry.make_method(os.fspath(source), {method.name: texts_of(parameters)}) if parameters else method


def load(source: str | os.PathLike[str] | Scenario, *, seed: int = 0, **parameters: Any) -> Dataset:
    """Make the dataset of a seed.

    Args:
        source: as in `make_scenario`.
        seed: of the dataset; for a data file, of the split of its rows.
        parameters: of the scenario, such as `conditions=3`.

    Returns:
        A dataset. Its parts `train`, `validation` and `test` have `x` (N, D), `u` (N,) and `z` (N, n), or None in place
        of `z` where the latents are unknown.

    Raises:
        UsageError: as `make_scenario`, for a negative seed, or if files of the scenario are missing.
    """
    scenario = make_scenario(source, **parameters)
    if (problem := scenario.unavailable()) is not None:
        raise UsageError(problem)
    if seed < 0:
        raise UsageError(f"a seed is a whole number >= 0, got {seed}")
    return scenario.generate(int(seed))
