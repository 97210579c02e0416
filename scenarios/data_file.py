"""Data of the user's own, from a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Dataset
from nica_bench.errors import UsageError
from nica_bench.files.columns import READERS, read_bounded, read_columns
from nica_bench.metrics.difficulty import measure_difficulty
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario

__all__ = ["DataFile"]


@dataclass(frozen=True)
class _Content:
    """The contents of a file: the arrays by name, the names that are not used, and the SHA-256 of the bytes."""

    arrays: Mapping[str, NDArray[Any]]
    unused: tuple[str, ...]
    digest: str


@lru_cache(maxsize=2)
def _content(path: str, *state: int) -> _Content:
    """Read a file once for as long as its state, which the file system keeps, is the same."""
    read = read_bounded(path)
    arrays, unused = read_columns(read, Path(path).suffix, path)
    return _Content(arrays, tuple(unused), hashlib.sha256(read).hexdigest())


def _read(path: str) -> _Content:
    try:
        found = os.stat(path)
    except OSError:
        return _content(path)  # which says what is wrong
    return _content(path, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class DataFile(Scenario):
    """A file of your own: x, and where they are known u, z and split; .npz, .csv or .parquet (docs/add-a-scenario.md).

    Each seed draws another split of the same rows, in each condition separately, unless the file says the split.
    Without z the scores that need the latents are not applicable.
    """

    family: ClassVar[str] = "file"
    equivalence: ClassVar[str] = "not stated: the data come from a file"
    sized: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = tuple(READERS)

    path: str
    n_latents: int | None = field(default=None, init=False)
    n_observed: int = field(default=0, init=False)
    conditions: int = field(default=1, init=False)
    samples: int = field(default=0, init=False)
    digest: str = field(default="", init=False)
    shape: tuple[int, int, int] | None = field(default=None, init=False)
    held_out: float = parameter(
        0.2, "share of a file's rows for validation, and as large a share for the test", above=0, high=0.4
    )
    stand_in: int = parameter(0, "number of latents that methods are given where a file has no z; 0: none", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        data = self._dataset(0)
        if self.stand_in and data.n_latents is not None:
            raise UsageError(f"{self.name}: stand_in is for files without z, but this one has {data.n_latents} latents")
        facts = {name: getattr(data, name) for name in ("n_latents", "n_observed", "conditions")}
        facts |= {"samples": len(data.train.x), "shape": data.image_shape, "digest": _read(self.path).digest}
        if "split" in _read(self.path).arrays:
            facts["default_seeds"] = "0"  # the data of every seed are the same
        for name, value in facts.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """Return the name of the file, without its folder."""
        return Path(self.path).name

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """Return the contents of the file."""
        return self.shape

    @property
    def stand_in_latents(self) -> int | None:
        """Return the number of latents, or `stand_in` if the file has none."""
        return self.n_latents or self.stand_in or None

    def fingerprint(self) -> str:
        """Return the first digits of the content's SHA-256."""
        return self.digest[:12]

    def generate(self, seed: int) -> Dataset:
        """Split the rows by the seed.

        Raises:
            UsageError: if the file is not what it was when the run was planned.
        """
        if (digest := _read(self.path).digest) != self.digest:
            raise UsageError(
                f"data file {self.path} was changed during the run: expected SHA-256 {self.digest[:12]}, "
                f"got {digest[:12]}; run it again"
            )
        data = self._dataset(seed)
        if data.n_latents is None:
            return data
        return replace(data, difficulty=measure_difficulty(data.train, data.test))

    def _dataset(self, seed: int) -> Dataset:
        arrays = dict(_read(self.path).arrays)
        if "x" not in arrays:
            raise UsageError(f"data file {self.path} has no x: expected x, and where they are known u, z and split")
        shape = arrays.pop("image_shape", None)
        if shape is not None and (shape.shape != (3,) or shape.dtype.kind not in "iu"):
            raise UsageError(f"data file {self.path}: image_shape is (channels, height, width), got {shape.tolist()}")
        if shape is not None and np.prod(shape) != arrays["x"].shape[-1]:
            raise UsageError(
                f"data file {self.path}: images of shape {tuple(shape.tolist())} have {np.prod(shape)} numbers, "
                f"but x has {arrays['x'].shape[-1]} columns"
            )
        try:
            return Dataset.from_arrays(
                **arrays,
                held_out=self.held_out,
                seed=seed,
                image_shape=None if shape is None else tuple(shape.tolist()),
                stand_in_latents=self.stand_in or None if "z" not in arrays else None,
            )
        except UsageError as error:
            raise UsageError(f"data file {self.path}: {error}") from error

    def warnings(self) -> list[str]:
        """Return the unused names and the meaning of a seed."""
        content = _read(self.path)
        lines = []
        if content.unused:
            lines.append(f"not used: {', '.join(content.unused[:8])}{', ...' if len(content.unused) > 8 else ''}")
        if "split" not in content.arrays:
            lines.append("its seeds are splits of the same rows: intervals say how much the split matters, no more")
        if "z" not in content.arrays:
            lines.append("it has no z, so what compares codes with latents is not applicable")
        if "u" not in content.arrays:
            lines.append("it has no u: all rows are of one condition")
        return lines
