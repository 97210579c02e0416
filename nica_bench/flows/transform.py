"""A whole two-sided coupling as one node of the autograd graph.

With the names of `coupling.Coupling`, for one half: the subnet's output is (a, t), s = M c(a) where c is the clamp and
M the fixed matrix that makes s sum to zero (or a multiple of the identity), e = exp(s), y = x e + t. Backward, with g
for the gradient of y:

    dt = g,   dx = g e,   ds = dx x,   da = (M' ds) c'(a).

Only x, y, a, e and the hidden activations are kept; gradients of the two halves are written straight into the two
halves of one tensor, where autograd would slice, pad and add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nica_bench.flows.subnet import perceptron_backward, perceptron_forward

__all__ = ["Clamp", "Scale", "Transform"]

Clamp = Literal["atan", "tanh"]


@dataclass(frozen=True)
class Scale:
    """How the scales of a coupling follow from the subnet's output.

    Args:
        clamp: "atan" or "tanh".
        factor: what the clamped values are multiplied by.
        volume: whether the log-determinant is wanted; False where the scales sum to zero.
    """

    clamp: Clamp
    factor: float
    volume: bool

    def log_scale(self, a: Tensor, mix: Tensor | None) -> Tensor:
        """s = M c(a). Args: a, (R, d, B); mix, M over `factor`, (R, d, d), None for the identity."""
        clamped = torch.atan(a) if self.clamp == "atan" else torch.tanh(a)
        return clamped.mul_(self.factor) if mix is None else torch.bmm(mix * self.factor, clamped)

    def clamp_backward(self, grad: Tensor, a: Tensor, mix: Tensor | None, out: Tensor) -> None:
        """da = (M' ds) c'(a). Args: grad, ds, (R, d, B), overwritten; a and mix as above; out, where da is put."""
        grad = grad.mul_(self.factor) if mix is None else torch.bmm((mix * self.factor).mT, grad)
        if self.clamp == "atan":
            torch.div(grad, a.square().add_(1), out=out)
        else:
            torch.mul(grad, a.tanh().square_().neg_().add_(1), out=out)


class Transform(torch.autograd.Function):
    """Both halves of a coupling; not differentiable twice."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Scale | None,
        split: int,
        mix1: Tensor | None,
        mix2: Tensor | None,
        layers: int,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """y1 = x1 exp(s2(x2)) + t2(x2), then y2 = x2 exp(s1(y1)) + t1(y1).

        Args:
            x: shape (R, D, B).
            scale: None where the coupling only adds.
            split: number of features in the first half, d.
            mix1: for the scales of the first half, shape (R, d, d), or None.
            mix2: for those of the second, shape (R, D - d, D - d), or None.
            layers: layers of one subnet.
            parameters: of subnet 2, which moves the first half, then of subnet 1.

        Returns:
            y, shape (R, D, B), and the log-determinant, shape (R, B), where `scale` wants it.
        """
        y = torch.empty_like(x)
        log_det: Tensor | None = None
        kept: list[Tensor] = []
        halves = ((x[:, split:], slice(None, split), mix1), (y[:, :split], slice(split, None), mix2))
        for half, (given, moved, mix) in enumerate(halves):
            own = parameters[2 * layers * half : 2 * layers * (half + 1)]
            *hidden, out = perceptron_forward(given, own)
            kept += hidden
            if scale is None:
                torch.add(x[:, moved], out, out=y[:, moved])
                continue
            d = out.shape[1] // 2
            s = scale.log_scale(out[:, :d], mix)
            if scale.volume:
                total = s.sum(1)
                log_det = total if log_det is None else log_det.add_(total)
            e = s.exp_()
            torch.addcmul(out[:, d:], x[:, moved], e, out=y[:, moved])
            kept += (out, e)
        ctx.save_for_backward(x, y, mix1, mix2, *parameters, *kept)
        ctx.scale, ctx.split, ctx.layers = scale, split, layers
        ctx.set_materialize_grads(False)
        return y, log_det

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_y: Tensor | None, grad_log_det: Tensor | None) -> tuple[Tensor | None, ...]:
        """Args: grad_y, shape (R, D, B), and grad_log_det, shape (R, B)."""
        x, y, mix1, mix2, *rest = ctx.saved_tensors
        scale, split, count = ctx.scale, ctx.split, 2 * ctx.layers
        parameters, kept = rest[: 2 * count], rest[2 * count :]
        if grad_y is None:
            grad_y = torch.zeros_like(y)
        to_x, to_parameters = ctx.needs_input_grad[0], any(ctx.needs_input_grad[6:])
        grad_x = torch.empty_like(x)

        # The second half was moved last, so it comes first; its subnet adds to the gradient of y1.
        given: tuple[tuple[Tensor, slice, Tensor | None], ...]
        given = ((x[:, split:], slice(None, split), mix1), (y[:, :split], slice(split, None), mix2))
        gradients: list[Sequence[Tensor | None]] = [(), ()]
        grad, extra = grad_y[:, split:], None
        each = len(kept) // 2
        for half in (1, 0):
            source, moved, mix = given[half]
            own, mine = parameters[count * half : count * (half + 1)], kept[each * half : each * (half + 1)]
            if scale is None:
                hidden, to_output = mine, grad
                grad_x[:, moved] = grad
            else:
                *hidden, out, e = mine
                d = e.shape[1]
                moving = grad_x[:, moved]
                torch.mul(grad, e, out=moving)
                grad_s = moving * x[:, moved]
                if grad_log_det is not None:
                    grad_s += grad_log_det.unsqueeze(1)
                to_output = torch.empty_like(out)
                scale.clamp_backward(grad_s, out[:, :d], mix, to_output[:, :d])
                to_output[:, d:] = grad
            extra, gradients[half] = perceptron_backward(
                to_output, (source, *hidden), own, to_parameters=to_parameters, to_input=half == 1 or to_x
            )
            if half == 1:
                assert extra is not None
                grad = extra.add_(grad_y[:, :split])
        if to_x:
            grad_x[:, split:] += extra  # type: ignore[arg-type]
        return (grad_x if to_x else None, None, None, None, None, None, *gradients[0], *gradients[1])
