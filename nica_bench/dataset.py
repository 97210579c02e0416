"""Data: what a scenario makes, and the part of it that a method is allowed to see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import ContractError, UsageError
from nica_bench.seeds import Streams

__all__ = [
    "IMAGE_NOISE",
    "SIDE_INFORMATION",
    "Coordinates",
    "Dataset",
    "Observations",
    "Split",
    "checked_side_information",
    "condition_labels",
    "parts_by_seed",
    "spread_rows",
    "with_image_noise",
]

SIDE_INFORMATION = {
    "u": "the conditions, in fitting and in encoding",
    "n": "the number of latents, or the scenario's stand-in where it is unknown",
    "f": "the family of the latents' distribution, and in which coordinates they were mixed",
    "z": "the latents of the training data",
}
"""What a method may be given beside the observations x, by its letter. A method declares it as a text such as "un"."""


def checked_side_information(letters: object) -> str:
    """The letters of `SIDE_INFORMATION` in their order.

    Args:
        letters: such as "un", in any order; "" is no side information.

    Raises:
        ContractError: for anything but a text of these letters, each at most once.
    """
    if not isinstance(letters, str) or len(set(letters)) < len(letters) or not set(letters) <= set(SIDE_INFORMATION):
        known = "; ".join(f"{letter}: {meaning}" for letter, meaning in SIDE_INFORMATION.items())
        raise ContractError(f"side_information is a text of these letters, such as 'un', got {letters!r} ({known})")
    return "".join(letter for letter in SIDE_INFORMATION if letter in letters)


IMAGE_NOISE = 0.01
"""Standard deviation of the noise that images are trained and measured with, that of the published experiments: pixels
that never change have no density without it."""

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Coordinates = Literal["z", "natural"]


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    # a view would lead to the whole of which it is a part: other splits, and writable
    array = np.array(array, order="C", copy=True) if array.base is not None else np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class Split:
    """One of the three parts of a dataset. The arrays are made read-only.

    Args:
        x: observations, shape (N, D).
        u: conditions, integers from 0, shape (N,).
        z: latents, shape (N, n), in the coordinates that were mixed (`Dataset.coordinates`); None where nobody knows
            them, as for real images.

    Raises:
        ContractError: if shapes or types don't fit together or a value is not finite.
    """

    x: Floats
    u: Integers
    z: Floats | None = None

    def __post_init__(self) -> None:
        z_shape = None if self.z is None else self.z.shape
        if self.x.ndim != 2 or self.u.ndim != 1 or (z_shape is not None and len(z_shape) != 2):
            raise ContractError(
                "a split needs x of shape (N, D), u of shape (N,) and z of shape (N, n) or None, "
                f"got {self.x.shape}, {self.u.shape} and {z_shape}"
            )
        lengths = [shape[0] for shape in (self.x.shape, self.u.shape, z_shape) if shape is not None]
        if len(set(lengths)) != 1:
            names = "x, u and z" if z_shape else "x and u"
            raise ContractError(f"{names} need one length, got {', '.join(map(str, lengths[:-1]))} and {lengths[-1]}")
        if not np.issubdtype(self.u.dtype, np.integer):
            raise ContractError(f"conditions are integers, got {self.u.dtype}")
        arrays = {name: array for name in ("x", "u", "z") if (array := getattr(self, name)) is not None}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise ContractError(f"{name} holds values that are not finite")
            object.__setattr__(self, name, _frozen(array))


@dataclass(frozen=True)
class Dataset:
    """Observations, with their latents where those are known, split by the scenario.

    Args:
        train, validation, test: the parts; assignments and signs are learned on validation, scores are made on test.
        conditions: number of conditions; every u is below it.
        truth: what was drawn (family, parameters, mixing, ...), as JSON-able values; it goes into the record.
        difficulty: how hard the mixing is, measured on this dataset (see `nica_bench.metrics.difficulty`).
        family: name of the latents' distribution in `nica_bench.latents.FAMILIES`; None where they have none.
        coordinates: what the splits' z are, which is what was mixed and what linear correlations look at: "z", the
            latents as the family describes them, or "natural", its natural coordinate v (log z for a positive family,
            logit z for beta). `FAMILIES[family]` maps either into the other.
        image_shape: (channels, height, width) where x are images, flattened row by row; None for vectors.
        stand_in_latents: the number that a method with side information "n" is given where the true one is unknown.

    Raises:
        ContractError: if the parts differ in their dimensions, a condition is out of range, the image shape is not
            that of x, or a stand-in is given although the latents are known.
    """

    train: Split
    validation: Split
    test: Split
    conditions: int
    truth: Mapping[str, Any] = field(default_factory=dict)
    difficulty: Mapping[str, float] = field(default_factory=dict)
    family: str | None = None
    coordinates: Coordinates = "z"
    image_shape: tuple[int, int, int] | None = None
    stand_in_latents: int | None = None

    def __post_init__(self) -> None:
        shapes = {(s.x.shape[1], None if s.z is None else s.z.shape[1]) for s in self.splits}
        if len(shapes) != 1:
            raise ContractError(f"the splits differ in (observed, latent) dimensions: {sorted(shapes, key=str)}")
        if self.image_shape is not None and math.prod(self.image_shape) != self.n_observed:
            raise ContractError(f"images of shape {self.image_shape} have not {self.n_observed} dimensions")
        if self.stand_in_latents is not None and self.n_latents is not None:
            raise ContractError(f"stand_in_latents is for unknown latents, but z has {self.n_latents}")
        for split in self.splits:
            if split.u.size and not 0 <= split.u.min() <= split.u.max() < self.conditions:
                raise ContractError(
                    f"conditions must lie in 0..{self.conditions - 1}, got {split.u.min()}..{split.u.max()}"
                )

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        u: Any = None,
        z: Any = None,
        *,
        split: Any = None,
        held_out: float = 0.2,
        seed: int = 0,
        image_shape: tuple[int, int, int] | None = None,
        stand_in_latents: int | None = None,
    ) -> Self:
        """Make a dataset from arrays whose rows belong together.

        Args:
            x: observations, real numbers, shape (N, D).
            u: condition of each row, whole numbers or texts, shape (N,); the different values, sorted, become 0 to
                K - 1. None is one condition.
            z: latents, real numbers, shape (N, n); None where they are unknown.
            split: part of each row, shape (N,): 0, 1, 2 or 'train', 'validation', 'test'. None draws the parts by the
                seed, in each condition separately.
            held_out: share of the rows that validation gets, and as large a share that the test gets, where `split` is
                None; 0 < share <= 0.4.
            seed: of the draw of the parts.
            image_shape: (channels, height, width) where x are images, flattened row by row.
            stand_in_latents: see `Dataset`.

        Raises:
            UsageError: if shapes do not fit together, a value is not finite or of another type, or a part or a
                condition has too few rows.
        """
        x, z = _matrix("x", x), None if z is None else _matrix("z", z)
        labels, values = condition_labels(np.zeros(len(x), np.int64) if u is None else np.asarray(u))
        for name, length in (("u", len(labels)), ("z", len(x) if z is None else len(z))):
            if length != len(x):
                raise UsageError(f"x and {name} need one number of rows, got {len(x)} and {length}")
        part = parts_by_seed(labels, held_out, seed) if split is None else _part_numbers(np.asarray(split), len(x))
        rows = [np.flatnonzero(part == number) for number in range(3)]
        for name, mine in zip(_PARTS, rows, strict=True):
            if len(mine) < 2:
                raise UsageError(f"the {name} part needs at least 2 rows, got {len(mine)} of {len(x)}")
        lacking = sorted(set(range(len(values))) - set(labels[rows[0]].tolist()))
        if lacking:
            raise UsageError(f"no training row has the condition {values[lacking[0]]!r}: it needs more rows")
        splits = [Split(x[mine], labels[mine], None if z is None else z[mine]) for mine in rows]
        truth: dict[str, Any] = {"split": "by seed" if split is None else "given", "rows": len(x)}
        if values != list(range(len(values))):
            truth["condition_values"] = values
        shape = None if image_shape is None else (int(image_shape[0]), int(image_shape[1]), int(image_shape[2]))
        return cls(
            splits[0], splits[1], splits[2], len(values), truth, image_shape=shape, stand_in_latents=stand_in_latents
        )

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, validation and test."""
        return self.train, self.validation, self.test

    @property
    def n_latents(self) -> int | None:
        """True number of latents, n; None where they are unknown."""
        return None if self.train.z is None else int(self.train.z.shape[1])

    @property
    def n_observed(self) -> int:
        """Number of observed dimensions, D."""
        return int(self.train.x.shape[1])

    def observations(self, side_information: str = "") -> Observations:
        """Return what a method may see. What it does not declare, it does not get.

        Args:
            side_information: letters of `SIDE_INFORMATION`.

        Raises:
            ContractError: for other letters.
        """
        given = checked_side_information(side_information)
        return Observations(
            train_x=self.train.x,
            train_u=self.train.u if "u" in given else None,
            validation_x=self.validation.x,
            validation_u=self.validation.u if "u" in given else None,
            conditions=self.conditions if "u" in given else 1,
            n_latents=(self.stand_in_latents if self.n_latents is None else self.n_latents) if "n" in given else None,
            train_z=self.train.z if "z" in given else None,
            family=self.family if "f" in given else None,
            coordinates=self.coordinates if "f" in given else None,
            image_shape=self.image_shape,
        )


@dataclass(frozen=True)
class Observations:
    """A dataset as a method sees it: no latents, no test data, nothing that the method did not declare.

    Args:
        train_x, validation_x: observations, shapes (N, D).
        train_u, validation_u: conditions, shape (N,), or None where the method does not use them.
        conditions: number of conditions; 1 where the method does not use them.
        n_latents: number of latents, or None where the method is not told.
        train_z: latents of the training data, shape (N, n), for an oracle; None for everybody else.
        family: name of the latents' distribution in `nica_bench.latents.FAMILIES`; None where the method is not told
            or there is none.
        coordinates: what was mixed, "z" or "natural" (see `Dataset`); None where the method is not told.
        image_shape: (channels, height, width) where x are images, flattened row by row; None for vectors.
    """

    train_x: Floats
    train_u: Integers | None
    validation_x: Floats
    validation_u: Integers | None
    conditions: int
    n_latents: int | None = None
    train_z: Floats | None = None
    family: str | None = None
    coordinates: Coordinates | None = None
    image_shape: tuple[int, int, int] | None = None

    @property
    def n_observed(self) -> int:
        """Number of observed dimensions, D."""
        return int(self.train_x.shape[1])


_PARTS = ("train", "validation", "test")


def _matrix(name: str, values: Any) -> Floats:
    """A finite matrix of floating-point numbers. Raises UsageError for anything else."""
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiub" or 0 in array.shape:
        raise UsageError(f"{name} needs real numbers of shape (rows, columns), got {array.dtype} of {array.shape}")
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(1))[0])
        raise UsageError(f"{name} holds values that are not finite, the first in row {row}")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def condition_labels(u: NDArray[Any]) -> tuple[Integers, list[Any]]:
    """Number conditions in the order of their values.

    Args:
        u: whole numbers or texts, shape (N,).

    Returns:
        Labels 0 to K - 1, shape (N,), and the K values that they stand for.

    Raises:
        UsageError: for other values, or where more than half of the rows have a value of their own.
    """
    if u.ndim != 1 or u.dtype.kind not in "fiubUS" or (u.dtype.kind == "f" and not np.array_equal(u, np.rint(u))):
        raise UsageError(f"u needs whole numbers or texts of shape (rows,), got {u.dtype} of {u.shape}")
    values, labels = np.unique(u.astype(np.int64) if u.dtype.kind == "f" else u, return_inverse=True)
    if len(values) > max(1, len(u) // 2):
        raise UsageError(f"u has {len(values)} values in {len(u)} rows: a condition is what many rows have in common")
    return labels.astype(np.int64), values.tolist()


def parts_by_seed(labels: Integers, held_out: float, seed: int) -> Integers:
    """Draw the part of each row, 0 train, 1 validation or 2 test: in each condition about the same shares.

    Args:
        labels: conditions from 0, shape (N,).
        held_out: share of validation, and of the test, 0 < share <= 0.4.
        seed: of the draw; the numbers of rows do not depend on it.
    """
    if not 0 < held_out <= 0.4:
        raise UsageError(f"held_out is a share of the rows > 0 and <= 0.4, got {held_out}")
    order = Streams(seed).numpy("parts").permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    position = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (position + 0.5) / np.repeat(counts, counts)
    part = np.empty(len(labels), np.int64)
    part[order] = np.where(place < held_out, 1, np.where(place < 2 * held_out, 2, 0))
    return part


def _part_numbers(split: NDArray[Any], rows: int) -> Integers:
    """Parts as numbers from numbers or names. Raises UsageError for others."""
    if split.shape == (rows,):
        texts = [text.decode() if isinstance(text, bytes) else str(text) for text in split.tolist()]
        numbers = {name: number for number, name in enumerate(_PARTS)}
        numbers |= {text: number for number in range(3) for text in (str(number), f"{number}.0")}
        if not (unknown := sorted(set(texts) - numbers.keys())):
            return np.array([numbers[text] for text in texts], np.int64)
        raise UsageError(f"split is 0, 1, 2 or train, validation, test for each row, got '{unknown[0]}'")
    raise UsageError(f"split needs one value for each of {rows} rows, got shape {split.shape}")


def spread_rows(total: int, most: int) -> NDArray[np.intp]:
    """Up to so many of the rows 0 to total - 1, spread evenly: the same whatever the method and its seed."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.intp)


def with_image_noise(x: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    """Images x with fresh normal noise of sd `IMAGE_NOISE`, of the shape of x."""
    noisy: NDArray[Any] = x + np.float32(IMAGE_NOISE) * generator.standard_normal(x.shape, np.float32)
    return noisy
