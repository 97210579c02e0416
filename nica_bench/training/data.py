"""Training data on the device: all replicates' observations and conditions, shuffled once an epoch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nica_bench.dataset import Floats, Integers
from nica_bench.seeds import Streams
from nica_bench.training.noise import Noise, generator_states, set_generators

__all__ = ["Batch", "Batches", "RowBatches", "Shape", "stack"]


@dataclass(frozen=True)
class Shape:
    """Sizes of a group.

    Args:
        replicates: R.
        n_observed: observed n_observed D.
        conditions: K; 1 for a method that does not use them.
        n_latents: n where the method is told, else None.
        family: of the latents' distribution where the method is told, else None.
        image_shape: (channels, height, width) where the observations are images, else None.
    """

    replicates: int
    n_observed: int
    conditions: int
    n_latents: int | None
    family: str | None = None
    image_shape: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Batch:
    """One step's data.

    Args:
        x: observations, shape (R, D, B).
        onehot: conditions, shape (R, K, B).
        noise: the replicates' noise streams.
        progress: share of the steps that are done, for losses that change on the way; 1 is the final one.
    """

    x: Tensor
    onehot: Tensor
    noise: Noise
    progress: float = 1.0

    def normal(self, name: str, features: int) -> Tensor:
        """Fresh standard normal noise of a name, shape (R, features, B)."""
        drawn: Tensor = self.noise.normal(name, features, self.x.shape[-1])
        return drawn

    def augmented(self, sd: float) -> Tensor:
        """x with fresh Gaussian noise, shape (R, D, B)."""
        return torch.add(self.x, self.normal("augmentation", self.x.shape[1]), alpha=sd) if sd else self.x


def stack(xs: Sequence[Floats], us: Sequence[Integers | None], conditions: int, device: str) -> Tensor:
    """Observations over one-hot conditions, shape (R, D + K, N), float32 on the device."""
    parts = []
    for x, u in zip(xs, us, strict=True):
        onehot = np.zeros((conditions, x.shape[0]), np.float32)
        onehot[np.zeros(x.shape[0], np.int64) if u is None else u, np.arange(x.shape[0])] = 1
        parts.append(np.concatenate([x.T.astype(np.float32), onehot]))
    return torch.from_numpy(np.stack(parts)).to(device)


class Batches(Iterator[Batch]):
    """Batches without end: each replicate's data is shuffled anew, by its own stream, at every epoch.

    Args:
        data: what `stack` returns, shape (R, D + K, N).
        size: batch size B; what is left of an epoch after its whole batches is dropped.
        n_observed: observed n_observed D.
        streams: one for each replicate; the axis is "batches".
        noise: handed on with each batch.
    """

    def __init__(self, data: Tensor, size: int, n_observed: int, streams: Sequence[Streams], noise: Noise) -> None:
        self._data = data
        self._dimensions = n_observed
        self._points = data.shape[-1]
        self._begin(size, streams, noise)

    def _begin(self, size: int, streams: Sequence[Streams], noise: Noise) -> None:
        self.noise = noise
        self._size = size
        self._generators = [s.torch("batches") for s in streams]
        self._before = generator_states(self._generators)  # before the present epoch was shuffled
        self._next = self._points

    def __next__(self) -> Batch:
        """The next batch."""
        if self._next + self._size > self._points:
            self._before = generator_states(self._generators)
            self._shuffle([torch.randperm(self._points, generator=g) for g in self._generators])
            self._next = 0
        start, self._next = self._next, self._next + self._size
        x, onehot = self._part(start, self._next)
        return Batch(x, onehot, self.noise)

    def _shuffle(self, orders: Sequence[Tensor]) -> None:
        moved = [part.index_select(1, order.to(part.device)) for part, order in zip(self._data, orders, strict=True)]
        self._shuffled = torch.stack(moved)

    def _part(self, start: int, end: int) -> tuple[Tensor, Tensor]:
        part = self._shuffled[..., start:end]
        return part[:, : self._dimensions], part[:, self._dimensions :]

    def state(self) -> dict[str, Tensor]:
        """Where in which epoch it is."""
        return {"generators": self._before, "next": torch.tensor(self._next)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from there: the present epoch is shuffled again."""
        set_generators(self._generators, state["generators"])
        self._next = self._points
        next(self)
        self._next = int(state["next"])


class RowBatches(Batches):
    """Batches of large observations, whose rows are gathered when their turn comes: no copy of the data is made.

    Args:
        xs: observations of each replicate, shape (N, D).
        us: conditions, shape (N,), or None.
        conditions: K.
        size, streams, noise: as in `Batches`.
        device: where the data are kept.
    """

    def __init__(
        self,
        xs: Sequence[Floats],
        us: Sequence[Integers | None],
        conditions: int,
        size: int,
        streams: Sequence[Streams],
        noise: Noise,
        device: str,
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the arrays are read-only, and only read
            self._xs = [torch.from_numpy(x.astype(np.float32, copy=False)).to(device) for x in xs]
        known = [np.zeros(len(x), np.int64) if u is None else u for x, u in zip(xs, us, strict=True)]
        self._us = [torch.from_numpy(u.astype(np.int64)).to(device) for u in known]
        self._conditions = conditions
        self._points = len(xs[0])
        self._begin(size, streams, noise)

    def _shuffle(self, orders: Sequence[Tensor]) -> None:
        self._orders = [order.to(u.device) for order, u in zip(orders, self._us, strict=True)]

    def _part(self, start: int, end: int) -> tuple[Tensor, Tensor]:
        rows = [order[start:end] for order in self._orders]
        x = torch.stack([x.index_select(0, row).T for x, row in zip(self._xs, rows, strict=True)])
        u = torch.stack([u[row] for u, row in zip(self._us, rows, strict=True)])
        return x, torch.nn.functional.one_hot(u, self._conditions).mT.float()
