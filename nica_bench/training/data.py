"""Training data on the device: all replicates' observations and conditions, shuffled once an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nica_bench.dataset import Floats, Integers
from nica_bench.seeds import Streams
from nica_bench.training.noise import Noise

__all__ = ["Batch", "Shape", "batches", "stack"]


@dataclass(frozen=True)
class Shape:
    """Sizes of a group.

    Args:
        replicates: R.
        dimensions: observed dimensions D.
        conditions: K; 1 for a method that does not use them.
        latents: n where the method is told, else None.
        family: of the latents' distribution where the method is told, else None.
    """

    replicates: int
    dimensions: int
    conditions: int
    latents: int | None
    family: str | None = None


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


def batches(data: Tensor, size: int, dimensions: int, streams: Sequence[Streams], noise: Noise) -> Iterator[Batch]:
    """Batches without end: each replicate's data is shuffled anew, by its own stream, at every epoch.

    Args:
        data: what `stack` returns, shape (R, D + K, N).
        size: batch size B; what is left of an epoch after its whole batches is dropped.
        dimensions: observed dimensions D.
        streams: one for each replicate; the axis is "batches".
        noise: handed on with each batch.
    """
    generators = [s.torch("batches") for s in streams]
    points = data.shape[-1]
    while True:
        order = [torch.randperm(points, generator=g).to(data.device) for g in generators]
        shuffled = torch.stack([data[r].index_select(1, order[r]) for r in range(data.shape[0])])
        for start in range(0, points - size + 1, size):
            part = shuffled[..., start : start + size]
            yield Batch(part[:, :dimensions], part[:, dimensions:], noise)
