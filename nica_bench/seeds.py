"""Random streams by named axes.

Every source of randomness has a name ("latents", "mixing", "initialisation", "batches", ...) and a stream of its own,
made from the seeds of the cell and a stable hash of that name. So two streams never share numbers, adding an axis
changes no other, and a cell's numbers depend on nothing but its own seeds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Streams"]


def _axis_number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


@dataclass(frozen=True)
class Streams:
    """The random streams of one dataset (`Streams(seed)`) or of one fit (`Streams(seed, init)`).

    Args:
        seed: data seed, a non-negative integer.
        init: initialisation seed; None for what belongs to the data alone. Fits of different datasets have different
            streams even where their initialisation seeds are equal.
    """

    seed: int
    init: int | None = None

    def sequence(self, axis: str) -> np.random.SeedSequence:
        """The seed sequence of an axis, the root of both kinds of generator."""
        numbers = [_axis_number(axis), self.seed]
        if self.init is not None:
            numbers.append(self.init)
        return np.random.SeedSequence(numbers)

    def numpy(self, axis: str) -> np.random.Generator:
        """A fresh NumPy generator at the start of the axis' stream."""
        return np.random.Generator(np.random.PCG64(self.sequence(axis)))

    def torch(self, axis: str, device: str | torch.device = "cpu") -> torch.Generator:
        """A fresh torch generator at the start of the axis' stream, on a device."""
        import torch

        low, high = self.sequence(axis).generate_state(2, np.uint32)
        return torch.Generator(device=device).manual_seed(int(low) | (int(high) & 0x7FFFFFFF) << 32)
