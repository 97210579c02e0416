"""Fixed random permutations of the features, one a replicate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nica_bench.errors import UsageError

__all__ = ["Permutation"]


class _Gather(torch.autograd.Function):
    """Rows in another order. Autograd would add the rows of the gradient into zeros; a permutation only moves them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        """Args: x, rows, shape (rows, B); order, a permutation of them, shape (rows,)."""
        ctx.save_for_backward(order)
        return x.index_select(0, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Args: grad, gradient of the output, (rows, B)."""
        (order,) = ctx.saved_tensors
        return grad.index_select(0, order.argsort()), None


class Permutation(nn.Module):
    """y[r, i] = x[r, order[r, i]], as between the blocks of Sorrenson et al. 2020.

    Args:
        generators: one CPU generator for each of the R replicates.
        features: number of features D.

    Attributes:
        order: the permutations, a persistent integer buffer, shape (R, D).

    Raises:
        UsageError: no generator.
    """

    order: Tensor

    def __init__(self, generators: Sequence[torch.Generator], features: int) -> None:
        super().__init__()
        if not generators:
            raise UsageError("expected at least one generator, one a replicate, got none")
        self.register_buffer("order", torch.stack([torch.randperm(features, generator=g) for g in generators]))

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, shape (R, D, B). Returns: its rows permuted, same shape."""
        return self._gather(x, self.order)

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y."""
        return self._gather(y, self.order.argsort(1))

    def _gather(self, x: Tensor, order: Tensor) -> Tensor:
        replicates, features, batch = x.shape
        # One index over all rows: a single copy kernel, where gather would need an index for every element.
        first = torch.arange(0, replicates * features, features, device=order.device)
        moved: Tensor = _Gather.apply(x.reshape(-1, batch), (order + first.unsqueeze(1)).view(-1))
        return moved.view(replicates, features, batch)
