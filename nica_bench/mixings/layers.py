"""The layers that mixings have and models don't: random rotations and leaky ReLUs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nica_bench.errors import UsageError

__all__ = ["LeakyReLU", "Rotation"]


class Rotation(nn.Module):
    """x -> Q x with a fixed random orthogonal Q, uniform over the orthogonal group (Mezzadri 2007), in float64.

    Args:
        generator: CPU generator.
        features: number of features D, at least 1.

    Attributes:
        matrix: Q, a buffer, shape (D, D); its determinant is 1 or -1.

    Raises:
        UsageError: fewer than one feature.
    """

    matrix: Tensor
    volume_preserving = True

    def __init__(self, generator: torch.Generator, features: int) -> None:
        super().__init__()
        if features < 1:
            raise UsageError(f"expected at least 1 feature to rotate, got {features}")
        q, r = torch.linalg.qr(torch.randn(features, features, dtype=torch.float64, generator=generator))
        # Without the signs of R's diagonal, Q would not be uniform but depend on the algorithm.
        self.register_buffer("matrix", q * torch.diagonal(r).sign())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Args: x, shape (R, D, B). Returns: Q x, same shape, and zeros, shape (R, B)."""
        return self.matrix @ x, x.new_zeros(x.shape[0], x.shape[2])

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: Q' y, same shape."""
        return self.matrix.T @ y


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
