"""The perceptron's arithmetic, forward and backward, on plain tensors.

Small layers are bound by memory traffic and by the number of calls as much as by their products. Autograd keeps
intermediate results that no gradient needs and allocates a tensor for each; here only the inputs of the layers are
kept. Both functions are shared by `linear.MLP` and `transform.Transform`, which takes them as an `Arithmetic`.

Weights and biases come as one flat sequence: weight, bias, weight, bias, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["Arithmetic", "Dense", "Perceptron", "perceptron_backward", "perceptron_forward"]


class Arithmetic(Protocol):
    """How a subnet is computed from x (R, in, B) and its parameters, weight and bias in turn, forward and backward."""

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        """The hidden activations, in any form, and the output, shape (R, out, B)."""

    def backward(
        self,
        grad: Tensor,
        inputs: Sequence[Tensor],
        parameters: Sequence[Tensor],
        *,
        to_parameters: bool,
        to_input: bool,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of x and of the parameters; inputs are x and the hidden activations."""


@dataclass(frozen=True)
class Dense:
    """Fully connected layers."""

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        """As `perceptron_forward`."""
        return perceptron_forward(x, parameters)

    def backward(
        self,
        grad: Tensor,
        inputs: Sequence[Tensor],
        parameters: Sequence[Tensor],
        *,
        to_parameters: bool,
        to_input: bool,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """As `perceptron_backward`."""
        return perceptron_backward(grad, inputs, parameters, to_parameters=to_parameters, to_input=to_input)


def perceptron_forward(x: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Linear layers with a ReLU between each two.

    Args:
        x: inputs, shape (R, in, B); a slice of a larger tensor is read without a copy.
        parameters: weights (R, out, in) and biases (R, out, 1) in turn, first layer first.

    Returns:
        The output of each layer, shapes (R, out, B), after its ReLU; the last one has none.
    """
    activations: list[Tensor] = []
    last = len(parameters) - 2
    for i in range(0, len(parameters), 2):
        x = torch.baddbmm(parameters[i + 1], parameters[i], x)
        activations.append(x.relu_() if i < last else x)
    return activations


def perceptron_backward(
    grad: Tensor, inputs: Sequence[Tensor], parameters: Sequence[Tensor], *, to_parameters: bool, to_input: bool
) -> tuple[Tensor | None, list[Tensor | None]]:
    """Gradients of `perceptron_forward`.

    Args:
        grad: gradient of the last layer's output, shape (R, out, B). It is not changed.
        inputs: what each layer was given: x (R, in, B), then the hidden activations.
        parameters: as in `perceptron_forward`.
        to_parameters: whether the parameters' gradients are needed.
        to_input: whether the gradient of x is.

    Returns:
        The gradient of x, shape (R, in, B), and those of the parameters in their order; None where not needed.
    """
    gradients: list[Tensor | None] = [None] * len(parameters)
    for i in range(len(inputs) - 1, -1, -1):
        if to_parameters:
            gradients[2 * i] = torch.bmm(grad, inputs[i].mT)
            gradients[2 * i + 1] = grad.sum(-1, keepdim=True)
        if i == 0 and not to_input:
            return None, gradients
        grad = torch.bmm(parameters[2 * i].mT, grad)
        if i > 0:
            torch.ops.aten.threshold_backward.grad_input(grad, inputs[i], 0, grad_input=grad)
    return grad, gradients


class Perceptron(torch.autograd.Function):
    """`perceptron_forward` as one node of the autograd graph; not differentiable twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        """Args: x (R, in, B), then weights and biases in turn. Returns: (R, out, B)."""
        *hidden, output = perceptron_forward(x, parameters)
        ctx.save_for_backward(x, *hidden, *parameters)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Args: grad, gradient of the output, (R, out, B)."""
        layers = len(ctx.saved_tensors) // 3
        inputs, parameters = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        to_parameters = any(ctx.needs_input_grad[1:])
        grad_x, gradients = perceptron_backward(
            grad, inputs, parameters, to_parameters=to_parameters, to_input=ctx.needs_input_grad[0]
        )
        return grad_x, *gradients
