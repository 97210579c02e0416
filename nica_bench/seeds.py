"""Random streams by named axes.

Every source of randomness has a name ("latents", "mixing", "initialisation", "batches", ...) and a stream of its own,
made from the seeds of the run and a stable hash of that name. So two streams never share numbers, adding an axis
changes no other, and a run's numbers depend on nothing but its own seeds.
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
    """The random streams of one dataset, `Streams(seed)`, or of one fit, `Streams.of_fit(seed, init)`.

    Args:
        seed: a non-negative integer.
    """

    seed: int

    @classmethod
    def of_fit(cls, seed: int, training_seed: int) -> Streams:
        """The streams of one fit: a method cannot make the data's streams from them.

        Args:
            seed: data seed. Fits of different datasets have different streams, whatever their training seeds.
            training_seed: seed of the initialisation and of the training.
        """
        return cls(int.from_bytes(hashlib.sha256(f"fit {seed} {training_seed}".encode()).digest()[:16], "little"))

    def sequence(self, axis: str) -> np.random.SeedSequence:
        """The seed sequence of an axis, the root of both kinds of generator."""
        return np.random.SeedSequence([_axis_number(axis), self.seed])

    def numpy(self, axis: str) -> np.random.Generator:
        """A fresh NumPy generator at the start of the axis' stream."""
        return np.random.Generator(np.random.PCG64(self.sequence(axis)))

    def torch(self, axis: str, device: str | torch.device = "cpu") -> torch.Generator:
        """A fresh torch generator at the start of the axis' stream, on a device."""
        import torch

        low, high = self.sequence(axis).generate_state(2, np.uint32)
        return torch.Generator(device=device).manual_seed(int(low) | (int(high) & 0x7FFFFFFF) << 32)
