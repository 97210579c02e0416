"""The layers that mixings have and models do not: random rotations, fixed matrices and pointwise nonlinearities."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nica_bench import flows
from nica_bench.errors import UsageError

__all__ = ["LeakyReLU", "Linear", "Rotation", "TanhPlusLinear"]


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


class _Pointwise(nn.Module):
    """A nonlinearity of each feature that is increasing because its slope is positive."""

    volume_preserving = False

    def __init__(self, slope: float) -> None:
        super().__init__()
        if not slope > 0:
            raise UsageError(f"expected a positive slope, got {slope:g}")
        self.slope = slope


class LeakyReLU(_Pointwise):
    """x where it is positive, slope x where not, for each feature.

    Args:
        slope: positive.

    Raises:
        UsageError: a slope that is not positive.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Args: x, shape (R, D, B). Returns: y, same shape, and log|det dy/dx|, shape (R, B)."""
        negative = x < 0
        return torch.where(negative, self.slope * x, x), negative.sum(1) * x.new_tensor(math.log(self.slope))

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, same shape."""
        return torch.where(y < 0, y / self.slope, y)


class Linear(nn.Module):
    """y = A x with a fixed invertible matrix.

    Args:
        matrix: A, shape (D, D), float64.

    Raises:
        UsageError: a matrix that is not square or not invertible.
    """

    volume_preserving = False
    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        if (
            matrix.ndim != 2
            or matrix.shape[0] != matrix.shape[1]
            or not torch.linalg.matrix_rank(matrix) == len(matrix)
        ):
            raise UsageError(f"expected an invertible square matrix, got one of shape {tuple(matrix.shape)}")
        self.register_buffer("matrix", matrix)
        self._log_det = float(torch.linalg.slogdet(matrix).logabsdet)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Args: x, shape (R, D, B). Returns: A x, same shape, and log|det A|, shape (R, B)."""
        return self.matrix @ x, x.new_full((x.shape[0], x.shape[2]), self._log_det)

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, same shape."""
        x: Tensor = torch.linalg.solve(self.matrix, y)
        return x


class TanhPlusLinear(_Pointwise):
    """tanh(x) + slope x for each feature, the nonlinearity that the published code of iVAE calls xtanh.

    Args:
        slope: positive.

    Raises:
        UsageError: a slope that is not positive.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Args: x, shape (R, D, B). Returns: y, same shape, and log|det dy/dx|, shape (R, B)."""
        tanh = torch.tanh(x)
        return tanh + self.slope * x, torch.log(1 - tanh**2 + self.slope).sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, same shape, by bisection.

        The solution lies between (|y| - 1) / slope and |y| / slope, with the sign of y.
        """
        target = y.abs()
        low, high = ((target - 1) / self.slope).clamp(min=0), target / self.slope
        for _ in range(80):
            middle = (low + high) / 2
            below = torch.tanh(middle) + self.slope * middle < target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return torch.copysign((low + high) / 2, y)
