"""A mixing: a fixed chain of invertible layers from (latents, noise) to observations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nica_bench.dataset import Floats

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Layer", "Mixing"]

CHUNK = 10_000
"""Points mixed at once."""


class Layer(Protocol):
    """One invertible step of a mixing, in float64; features are rows, as everywhere in the flows."""

    @property
    def volume_preserving(self) -> bool:
        """Whether log|det| is zero by construction."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Args: x, shape (1, D, B). Returns: y, shape (1, D, B), and log|det dy/dx|, shape (1, B)."""

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (1, D, B). Returns: the x with layer(x) = y, same shape."""


@dataclass(frozen=True)
class Mixing:
    """A fixed bijection of R^D, in float64: x = mixing(latents, noise). On the latents alone it is injective.

    One thread and chunks of one size, so that the same seed gives the same bits whoever makes the dataset.

    Args:
        layers: applied in turn, at least one.
    """

    layers: Sequence[Layer]

    @property
    def volume_preserving(self) -> bool:
        """Whether log|det dx/ds| is zero everywhere by construction."""
        return all(layer.volume_preserving for layer in self.layers)

    def __call__(self, s: Floats) -> tuple[Floats, Floats]:
        """Mix s (N, D): the observations x (N, D) and log|det dx/ds| (N,)."""

        def forward(part: Tensor) -> tuple[Tensor, Tensor]:
            x, total = self.layers[0](part)
            for layer in self.layers[1:]:
                x, log_det = layer(x)
                total = total + log_det
            return x[0].T, total[0]

        x, log_det = _in_chunks(forward, s)
        return x, log_det

    def inverse(self, x: Floats) -> Floats:
        """The s (N, D) of x (N, D), up to rounding."""

        def backward(part: Tensor) -> tuple[Tensor]:
            for layer in reversed(self.layers):
                part = layer.inverse(part)
            return (part[0].T,)

        return _in_chunks(backward, x)[0]


def _in_chunks(function: Callable[[Tensor], tuple[Tensor, ...]], points: Floats) -> tuple[Floats, ...]:
    """A function of (1, D, B) over points (N, D): its outcomes, (B, ...) each, put together again."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = []
        with torch.no_grad():
            for start in range(0, points.shape[0], CHUNK):
                rows = np.ascontiguousarray(points[start : start + CHUNK].T, dtype=np.float64)
                parts.append([out.numpy() for out in function(torch.from_numpy(rows)[None])])
    finally:
        torch.set_num_threads(threads)
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))
