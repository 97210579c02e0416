"""Adam over all parameters of a group at once, in one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from nica_bench.errors import ContractError

__all__ = ["FlatAdam"]

WHOLE_VECTORS = 16
"""A parameter's place in the buffer is a multiple of this: a cache line, and the widest vector, of float32."""


class FlatAdam:
    """Adam (Kingma and Ba 2015) whose step is one fused call, whatever the number of parameters.

    The parameters move into one buffer, one behind the other, and become views of it. Besides speed this keeps a
    replicate's bits apart from its place in the group: the CPU's fused Adam rounds the last elements of a tensor,
    those that fill no vector, otherwise than the rest, and here there are none.

    Args:
        parameters: shapes (R, ...), of one floating type on one device.
        lr: learning rate; may be set anew before each step.

    Attributes:
        replicates: R.
        device: of the parameters.

    Raises:
        ContractError: no parameter, or they differ in R, type or device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        kinds = {(p.shape[:1], p.dtype, p.device) for p in parameters}
        if len(kinds) != 1:
            found = ", ".join(f"{tuple(size)} {dtype} on {device}" for size, dtype, device in kinds) or "none"
            raise ContractError(f"parameters need one number of replicates, one type and one device, got {found}")
        self.replicates = parameters[0].shape[0]
        self.device = parameters[0].device
        self._parameters = list(parameters)
        self._gaps = [parameters[0].new_zeros(-p.numel() % WHOLE_VECTORS) for p in parameters]
        self._flat = nn.Parameter(self._joined([p.detach() for p in parameters]))
        self._flat.grad = torch.zeros_like(self._flat)
        values, start = self._flat.detach(), 0
        for p, gap in zip(parameters, self._gaps, strict=True):
            p.data = values[start : start + p.numel()].view_as(p)
            start += p.numel() + gap.numel()
        self._adam = torch.optim.Adam([self._flat], lr=lr, fused=True)
        self._frozen: Tensor | None = None

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
        self._joined(_clipped(gradients, clip) if clip else gradients, out=self._flat.grad)
        if self._frozen is not None:
            self._flat.grad.masked_fill_(self._frozen, 0)  # type: ignore[union-attr]
        self._adam.param_groups[0]["lr"] = lr
        if scale is None:
            self._adam.step()
            return
        before = self._flat.detach().clone()
        self._adam.step()
        with torch.no_grad():
            factor = scale.to(self._flat)[self._owner]
            self._flat.copy_(torch.where(factor == 0, before, torch.lerp(before, self._flat, factor)))

    def freeze(self, replicate: int) -> None:
        """Set a replicate's parameters and their moments to zero: with no gradient they stay there."""
        own = self._owner == replicate
        self._frozen = own if self._frozen is None else self._frozen | own
        with torch.no_grad():
            for tensor in (self._flat, *self._adam.state[self._flat].values()):
                if tensor.shape == own.shape:
                    tensor.masked_fill_(own, 0)

    def state(self) -> dict[str, Tensor]:
        """Parameters, their moments, the number of steps and what is frozen."""
        state = {"values": self._flat.detach(), **self._adam.state[self._flat]}
        return state if self._frozen is None else {**state, "frozen": self._frozen}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a state, values of the parameters included."""
        state = dict(state)
        with torch.no_grad():
            self._flat.copy_(state.pop("values"))
        frozen = state.pop("frozen", None)
        self._frozen = None if frozen is None else frozen.to(self._flat.device)
        self._adam.state[self._flat] = {name: value.to(self._flat.device) for name, value in state.items()}

    @cached_property
    def _owner(self) -> Tensor:
        """Which replicate each number of the buffer belongs to; a gap belongs to the first, and is zero anyway."""
        owners = torch.arange(self.replicates, device=self._flat.device)
        parts = [owners.repeat_interleave(p[0].numel()) for p in self._parameters]
        return self._joined(parts).long()

    def _joined(self, tensors: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
        """Tensors of the parameters' sizes as one vector, with the gaps between them."""
        parts = [part for t, gap in zip(tensors, self._gaps, strict=True) for part in (t.reshape(-1), gap)]
        return torch.cat(parts, out=out)


def _clipped(gradients: Sequence[Tensor], most: float) -> list[Tensor]:
    """Gradients (R, ...) whose norm over all of them is at most `most` for each replicate; zero where not finite."""
    squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients])
    norms = squares.sum(0).sqrt()
    factor = torch.where(torch.isfinite(norms), most / norms.clamp_min(most), 0.0)
    return [g.nan_to_num(0.0, 0.0, 0.0) * factor.view(-1, *[1] * (g.ndim - 1)) for g in gradients]
