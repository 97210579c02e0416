"""A whole two-sided coupling as one node of the autograd graph.

In the names of `coupling.Coupling`, for one half: the subnet's output is (a, t), s = M c(a) where c is the clamp and M
a fixed matrix, e = exp(s), y = x e + t. Backward, with g for the gradient of y:

    dt = g,   dx = g e,   ds = dx x,   da = (M' ds) c'(a).

Only x, y, (a, t), e and the hidden activations are kept; what concerns the two halves is written straight into the two
halves of one tensor, where autograd would slice, pad and add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nica_bench.flows.subnet import Arithmetic

__all__ = ["Clamp", "Scale", "Transform"]

Clamp = Literal["atan", "tanh"]


@dataclass(frozen=True)
class Scale:
    """How the scales of a coupling follow from the subnet's output: s = M c(a).

    Args:
        clamp: the function c, "atan" or "tanh".
        factor: M is this multiple of the identity where no matrix is given.
        volume: whether the log-determinant is wanted; False where the scales sum to zero.
        centred: M takes the mean off, times the factor, and no matrix is given: for halves of so few features or so
            many that a product is a waste.
    """

    clamp: Clamp
    factor: float
    volume: bool
    centred: bool = False

    def log_scale(self, a: Tensor, matrix: Tensor | None) -> Tensor:
        """Args: a, (R, d, B); matrix, M, (R, d, d), or None. Returns: s, a new tensor, (R, d, B)."""
        clamped = torch.atan(a) if self.clamp == "atan" else torch.tanh(a)
        if self.centred:
            return clamped.sub_(clamped.mean(1, keepdim=True)).mul_(self.factor)
        return clamped * self.factor if matrix is None else torch.bmm(matrix, clamped)

    def backward(self, grad: Tensor, a: Tensor, matrix: Tensor | None, out: Tensor) -> None:
        """Args: grad, ds, (R, d, B), overwritten; a and matrix as above; out, where da is put, (R, d, B)."""
        if self.centred:
            grad = grad.sub_(grad.mean(1, keepdim=True))
        grad = grad.mul_(self.factor) if matrix is None else torch.bmm(matrix.mT, grad)
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
        matrix1: Tensor | None,
        matrix2: Tensor | None,
        subnet: Arithmetic,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """y1 = x1 exp(s2(x2)) + t2(x2), then y2 = x2 exp(s1(y1)) + t1(y1).

        Args:
            x: shape (R, D, B).
            scale: None where the coupling only adds.
            split: number of features in the first half, d.
            matrix1: M for the scales of the first half, shape (R, d, d), or None.
            matrix2: M for those of the second, shape (R, D - d, D - d), or None.
            subnet: how both subnets are computed.
            parameters: of subnet 2, which moves the first half, then of subnet 1, equally many.

        Returns:
            y, shape (R, D, B), and the log-determinant, shape (R, B), or None where `scale` does not want it.
        """
        y = torch.empty_like(x)
        log_det: Tensor | None = None
        kept: list[Tensor] = []
        x1, x2 = _halves(x, split)
        y1, y2 = _halves(y, split)
        each = len(parameters) // 2
        for given, moved, to, matrix, own in (
            (x2, x1, y1, matrix1, parameters[:each]),
            (y1, x2, y2, matrix2, parameters[each:]),
        ):
            *hidden, output = subnet.forward(given, own)
            kept += hidden
            if scale is None:
                torch.add(moved, output, out=to)
                continue
            a, t = _halves(output, moved.shape[1])
            s = scale.log_scale(a, matrix)
            if scale.volume:
                total = s.sum(1)
                log_det = total if log_det is None else log_det.add_(total)
            e = s.exp_()
            torch.addcmul(t, moved, e, out=to)
            kept += (output, e)
        ctx.save_for_backward(x, y, matrix1, matrix2, *parameters, *kept)
        ctx.scale, ctx.split, ctx.subnet, ctx.count = scale, split, subnet, each
        ctx.set_materialize_grads(False)
        return y, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, grad_log_det: Tensor | None) -> tuple[Tensor | None, ...]:
        """Args: grad_y, shape (R, D, B), and grad_log_det, shape (R, B); None where nothing depends on it."""
        x, y, matrix1, matrix2, *rest = ctx.saved_tensors
        scale, split, subnet, each = ctx.scale, ctx.split, ctx.subnet, ctx.count
        parameters, kept = rest[: 2 * each], rest[2 * each :]
        middle = len(kept) // 2
        to_x, to_parameters = ctx.needs_input_grad[0], any(ctx.needs_input_grad[6:])
        grad_x = torch.empty_like(x)
        x1, x2 = _halves(x, split)
        grad_x1, grad_x2 = _halves(grad_x, split)
        grad_y1, grad_y2 = _halves(torch.zeros_like(y) if grad_y is None else grad_y, split)

        # The second half was moved last, so it comes first, and its subnet adds to the gradient of y1.
        to_output = _moved_backward(scale, x2, grad_y2, grad_log_det, matrix2, kept[middle:], grad_x2)
        hidden1 = kept[middle : middle + each // 2 - 1]
        extra, second = subnet.backward(
            to_output, (y[:, :split], *hidden1), parameters[each:], to_parameters=to_parameters, to_input=True
        )
        assert extra is not None
        to_output = _moved_backward(scale, x1, extra.add_(grad_y1), grad_log_det, matrix1, kept[:middle], grad_x1)
        hidden2 = kept[: each // 2 - 1]
        extra, first = subnet.backward(
            to_output, (x2, *hidden2), parameters[:each], to_parameters=to_parameters, to_input=to_x
        )
        if extra is not None:
            grad_x2.add_(extra)
        return (grad_x if to_x else None, None, None, None, None, None, *first, *second)


def _halves(x: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Views of the first features and of the others. Args: x, (R, D, B)."""
    # One call for both: at a few replicates the step is bound by the number of calls.
    one, other = torch.split_with_sizes(x, (first, x.shape[1] - first), 1)
    return one, other


def _moved_backward(
    scale: Scale | None,
    x: Tensor,
    grad: Tensor,
    grad_log_det: Tensor | None,
    matrix: Tensor | None,
    kept: Sequence[Tensor],
    out: Tensor,
) -> Tensor:
    """From the gradient of one half's y to those of its x, put in `out`, and of its subnet's output, returned.

    Args:
        scale: as in `Transform`.
        x: the half before it was moved, shape (R, d, B).
        grad: gradient of the half after, shape (R, d, B).
        grad_log_det: shape (R, B), or None.
        matrix: M, shape (R, d, d), or None.
        kept: ends with the subnet's output (a, t), shape (R, 2 d, B), and e, shape (R, d, B), unless scale is None.
        out: shape (R, d, B).
    """
    if scale is None:
        out.copy_(grad)
        return grad
    output, e = kept[-2:]
    torch.mul(grad, e, out=out)
    grad_s = out * x
    if grad_log_det is not None:
        grad_s.add_(grad_log_det.unsqueeze(1))
    to_output = torch.empty_like(output)
    to_a, to_t = _halves(to_output, e.shape[1])
    scale.backward(grad_s, output.narrow(1, 0, e.shape[1]), matrix, to_a)
    to_t.copy_(grad)
    return to_output
