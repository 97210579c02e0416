"""The layers that mixings have and models don't: random rotations and leaky ReLUs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nica_bench import flows
from nica_bench.errors import UsageError

__all__ = ["LeakyReLU", "Rotation"]


class Rotation(flows.Rotation):
    """A rotation of one replicate, in float64, as a layer of a mixing; see `nica_bench.flows.Rotation`.

    Args:
        generator: CPU generator.
        features: number of features D, at least 1.

    Raises:
        UsageError: fewer than one feature.
    """

    volume_preserving = True

    def __init__(self, generator: torch.Generator, features: int) -> None:
        super().__init__([generator], features, torch.float64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Args: x, shape (1, D, B). Returns: Q x, same shape, and zeros, shape (1, B)."""
        return super().forward(x), x.new_zeros(x.shape[0], x.shape[2])


class LeakyReLU(nn.Module):
    """x where it is positive, slope x where not, for each feature.

    Args:
        slope: positive.

    Raises:
        UsageError: a slope that is not positive.
    """

    volume_preserving = False

    def __init__(self, slope: float) -> None:
        super().__init__()
        if not slope > 0:
            raise UsageError(f"expected a positive slope, got {slope:g}")
        self.slope = slope

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Args: x, shape (R, D, B). Returns: y, same shape, and log|det dy/dx|, shape (R, B)."""
        negative = x < 0
        return torch.where(negative, self.slope * x, x), negative.sum(1) * x.new_tensor(math.log(self.slope))

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, same shape."""
        return torch.where(y < 0, y / self.slope, y)
