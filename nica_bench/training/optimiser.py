"""Adam over all parameters of a group at once, one row a replicate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from nica_bench.errors import ContractError

__all__ = ["FlatAdam"]

WHOLE_VECTORS = 16
"""A row is padded to a multiple of this: as many float32 as the widest vector of a CPU holds, a cache line."""


class FlatAdam:
    """Adam (Kingma and Ba 2015) whose step is one fused call, whatever the number of parameters.

    The parameters move into one buffer, a row a replicate, and become views of it. Besides speed this keeps a
    replicate's bits apart from its place in the group: the CPU's fused Adam rounds the last elements of a tensor,
    which fill no vector, otherwise than the rest, and here every row has a whole number of vectors.

    Args:
        parameters: shapes (R, ...), of one floating type on one device.
        lr: learning rate; may be set anew before each step.

    Attributes:
        replicates: R.

    Raises:
        ContractError: no parameter, or they differ in R, type or device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        kinds = {(p.shape[:1], p.dtype, p.device) for p in parameters}
        if len(kinds) != 1:
            found = ", ".join(f"{tuple(size)} {dtype} on {device}" for size, dtype, device in kinds)
            raise ContractError(f"parameters need one number of replicates, one type and one device, got {found or 0}")
        self._parameters = list(parameters)
        self.replicates = parameters[0].shape[0]
        ends = [0, *accumulate(p[0].numel() for p in parameters)]
        width = -(-ends[-1] // WHOLE_VECTORS) * WHOLE_VECTORS
        self._rows = nn.Parameter(parameters[0].new_zeros(self.replicates, width))
        self._gradients = torch.zeros_like(self._rows)
        self._rows.grad = self._gradients
        self._used = self._gradients[:, : ends[-1]]
        with torch.no_grad():
            for p, (start, end) in zip(parameters, pairwise(ends), strict=True):
                self._rows[:, start:end] = p.flatten(1)
                p.data = self._rows.detach()[:, start:end].view_as(p)
        self._adam = torch.optim.Adam([self._rows], lr=lr, fused=True)

    def step(self, loss: Tensor, lr: float, scale: Tensor | None = None, clip: float = 0.0) -> None:
        """Move every replicate one step down the gradient of its loss.

        Args:
            loss: shape (R,); a replicate's loss depends on its own parameters alone.
            lr: learning rate of this step.
            scale: factor on each replicate's update, shape (R,), exact where it is 1 or 0; None is 1.
            clip: most a replicate's gradient may have as its norm (Pascanu et al. 2013); a gradient that is not finite
                becomes zero. 0 leaves all gradients as they are.
        """
        gradients = torch.autograd.grad(loss.sum(), self._parameters, allow_unused=True, materialize_grads=True)
        torch.cat([g.flatten(1) for g in gradients], 1, out=self._used)
        if clip:
            norms = torch.stack([torch.linalg.vector_norm(row) for row in self._gradients])
            factor = torch.where(torch.isfinite(norms), clip / norms.clamp_min(clip), 0.0)
            self._gradients.nan_to_num_(0.0, 0.0, 0.0).mul_(factor[:, None])
        self._adam.param_groups[0]["lr"] = lr
        if scale is None:
            self._adam.step()
            return
        before = self._rows.detach().clone()
        self._adam.step()
        with torch.no_grad():
            factor = scale.to(self._rows)[:, None]
            self._rows.copy_(torch.where(factor == 0, before, torch.lerp(before, self._rows, factor)))

    def freeze(self, replicate: int) -> None:
        """Set a replicate's parameters and their moments to zero: with no gradient they stay there."""
        with torch.no_grad():
            for tensor in (self._rows, *self._adam.state[self._rows].values()):
                if tensor.shape == self._rows.shape:
                    tensor[replicate] = 0
