"""Rotations of the features, one a replicate: fixed ones, and ones that are learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nica_bench.errors import UsageError

__all__ = ["LearnedRotation", "Rotation"]


class Rotation(nn.Module):
    """y[r] = Q[r] x[r] with orthogonal Q, uniform over the orthogonal group (Mezzadri 2007); it keeps the volume.

    Args:
        generators: one CPU generator for each of the R replicates.
        features: number of features D, at least 1.
        dtype: of the matrices; they are drawn in float64. torch's default where None.

    Attributes:
        matrix: Q, a persistent buffer, shape (R, D, D); determinants are 1 or -1.

    Raises:
        UsageError: no generator, or fewer than one feature.
    """

    matrix: Tensor

    def __init__(self, generators: Sequence[torch.Generator], features: int, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        _check(generators, features)
        matrices = []
        for generator in generators:
            q, r = torch.linalg.qr(torch.randn(features, features, dtype=torch.float64, generator=generator))
            # without the signs of R's diagonal, Q would not be uniform but depend on the algorithm
            matrices.append(q * torch.diagonal(r).sign())
        self.register_buffer("matrix", torch.stack(matrices).to(dtype or torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, shape (R, D, B). Returns: Q x, same shape."""
        return torch.bmm(self.matrix.to(x.dtype), x)

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, up to rounding."""
        return torch.bmm(self.matrix.to(y.dtype).mT, y)


class LearnedRotation(nn.Module):
    """y[r] = Q[r] x[r] with a learned rotation, starting as a random permutation; it keeps the volume.

    Q = (I - A)^{-1} (I + A) P with the permutation P and A = S - S^T (Cayley's transform), so Q is orthogonal whatever
    the parameters S are. Unlike a matrix exponential its parts treat each replicate by itself, to the last bit.

    Args:
        generators: one CPU generator for each of the R replicates.
        features: number of features D, at least 1.
        dtype: of the parameters; torch's default where None.

    Attributes:
        skew: S, learnable, zero at first, shape (R, D, D).
        order: P, a persistent buffer, shape (R, D, D).

    Raises:
        UsageError: no generator, or fewer than one feature.
    """

    order: Tensor

    def __init__(self, generators: Sequence[torch.Generator], features: int, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        _check(generators, features)
        dtype = dtype or torch.get_default_dtype()
        identity = torch.eye(features, dtype=dtype)
        self.register_buffer(
            "order", torch.stack([identity[torch.randperm(features, generator=g)] for g in generators])
        )
        self.skew = nn.Parameter(torch.zeros(len(generators), features, features, dtype=dtype))

    @property
    def matrix(self) -> Tensor:
        """Q, shape (R, D, D); determinants are 1 or -1."""
        a = self.skew - self.skew.mT
        identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        matrix: Tensor = torch.linalg.solve(identity - a, identity + a) @ self.order
        return matrix

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, shape (R, D, B). Returns: Q x, same shape."""
        return torch.bmm(self.matrix, x)

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, up to rounding."""
        return torch.bmm(self.matrix.mT, y)


def _check(generators: Sequence[torch.Generator], features: int) -> None:
    if not generators:
        raise UsageError("expected at least one generator, one a replicate, got none")
    if features < 1:
        raise UsageError(f"expected at least 1 feature to rotate, got {features}")
