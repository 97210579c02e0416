"""Convolutional subnets, one a replicate, on maps whose batch is the last axis.

Everything else in a flow is elementwise or moves whole rows, and is quickest where the channels come first and the
batch last: (R, C, H W B). Only here, inside the subnets, maps are channels-last, (B, H, W, C), where a CPU's and a
GPU's convolutions are quickest. Replicates are taken one after another: the layers are large enough to fill a machine,
and so a replicate's numbers cannot depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

from nica_bench.errors import UsageError

__all__ = ["ConvNet", "Convolutional", "Precision"]

Precision = Literal["float32", "bfloat16"]

KERNEL = 3


@dataclass(frozen=True)
class Convolutional:
    """Convolutions 3x3, zero-padded, with a ReLU between each two, forward and backward: an `Arithmetic`.

    Args:
        height, width: of the maps.
        precision: "bfloat16" rounds maps and weights for the products; sums, the output and the gradients that leave
            the subnet have x's own type. "float32" is no rounding: products in x's own type.
    """

    height: int
    width: int
    precision: Precision = "float32"

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        """The network's hidden activations and its output.

        Args:
            x: shape (R, in, H W B).
            parameters: weights (R, out, in, 3, 3) and biases (R, out) in turn, first layer first.

        Returns:
            The hidden activations, shapes (R, out, H, W, B) in memory as (R, B, H, W, out), after their ReLU, and the
            output, shape (R, out, H W B).
        """
        dtype, last = self._dtype(x), len(parameters) - 2
        results = []
        for r, maps in enumerate(x.unbind()):
            activations, value = [], self._channels_last(maps, dtype)
            for i in range(0, len(parameters), 2):
                weight, bias = parameters[i][r].to(dtype), parameters[i + 1][r].to(dtype)
                value = torch.conv2d(value, weight, bias, padding=1)
                value = value.relu_() if i < last else value
                activations.append(value if i < last else self._batch_last(value, x.dtype))
            results.append(activations)
        return [_stacked(layer) for layer in zip(*results, strict=True)]

    def backward(
        self,
        grad: Tensor,
        inputs: Sequence[Tensor],
        parameters: Sequence[Tensor],
        *,
        to_parameters: bool,
        to_input: bool,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of `forward`.

        Args:
            grad: gradient of the output, shape (R, out, H W B). It is not changed.
            inputs: x, then the hidden activations as `forward` gave them.
            parameters: as in `forward`.
            to_parameters: whether the parameters' gradients are needed.
            to_input: whether the gradient of x is.

        Returns:
            The gradient of x, shape (R, in, H W B), and those of the parameters in their order; None where not needed.
        """
        dtype = self._dtype(grad)
        to_x: list[Tensor | None] = []
        found: list[list[Tensor | None]] = []
        for r in range(grad.shape[0]):
            down: Tensor | None = self._channels_last(grad[r], dtype)
            gradients: list[Tensor | None] = [None] * len(parameters)
            for layer in range(len(inputs) - 1, -1, -1):
                given = inputs[layer][r] if layer else self._channels_last(inputs[0][r], dtype)
                wanted = [layer > 0 or to_input, to_parameters, to_parameters]
                if not any(wanted):
                    down = None
                    continue
                weight = parameters[2 * layer][r].to(dtype)
                down, to_weight, to_bias = torch.ops.aten.convolution_backward(
                    down, given, weight, [weight.shape[0]], [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
                )
                if to_parameters:
                    gradients[2 * layer : 2 * layer + 2] = [to_weight.to(grad.dtype), to_bias.to(grad.dtype)]
                if layer:
                    torch.ops.aten.threshold_backward.grad_input(down, given, 0, grad_input=down)
            to_x.append(self._batch_last(down, grad.dtype) if to_input and down is not None else None)
            found.append(gradients)
        return _stacked(to_x), [_stacked(of_all) for of_all in zip(*found, strict=True)]

    def _dtype(self, x: Tensor) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bfloat16" else x.dtype

    def _channels_last(self, maps: Tensor, dtype: torch.dtype) -> Tensor:
        """Args: maps, (C, H W B). Returns: a copy, (B, C, H, W), the channels innermost in memory."""
        moved = maps.view(maps.shape[0], self.height, self.width, -1).permute(3, 1, 2, 0)
        dense = torch.empty(moved.shape, dtype=dtype, device=maps.device).copy_(moved)
        return dense.permute(0, 3, 1, 2)

    def _batch_last(self, maps: Tensor, dtype: torch.dtype) -> Tensor:
        """Args: maps, (B, C, H, W). Returns: a copy, (C, H W B), the batch innermost in memory."""
        moved = maps.permute(1, 2, 3, 0)
        return torch.empty(moved.shape, dtype=dtype, device=maps.device).copy_(moved).view(maps.shape[1], -1)


def _stacked(parts: Sequence[Tensor | None]) -> Tensor:
    """Replicates in one tensor, without a copy where there is one; None where they are None."""
    if parts[0] is None:
        return cast(Tensor, None)
    return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(cast("list[Tensor]", list(parts)))


class ConvNet(nn.Module):
    """3x3 convolutions with a ReLU between each two, one network a replicate.

    Weights are Xavier normal (Glorot and Bengio 2010), as in the code of Sorrenson et al. 2020; biases torch's default,
    uniform within +-1/sqrt(9 inputs).

    Args:
        generators: one CPU generator for each of the R replicates.
        widths: channels of the input, of each hidden layer, of the output; at least two.
        arithmetic: size of the maps and precision.
        zero_last: start with zeros in the last layer, so the output is zero at first.
        dtype: of the parameters; torch's default where None.

    Raises:
        UsageError: no generator, or fewer than two widths or one channel.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        widths: Sequence[int],
        arithmetic: Convolutional,
        *,
        zero_last: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not generators:
            raise UsageError("expected at least one generator, one a replicate, got none")
        if len(widths) < 2 or min(widths) < 1:
            raise UsageError(f"expected at least two widths of one channel or more, got {list(widths)}")
        self.arithmetic = arithmetic
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        layers = list(pairwise(widths))
        for i, (inputs, outputs) in enumerate(layers):
            weight = torch.zeros(len(generators), outputs, inputs, KERNEL, KERNEL, dtype=dtype)
            bias = torch.zeros(len(generators), outputs, dtype=dtype)
            if not (zero_last and i == len(layers) - 1):
                bound = (inputs * KERNEL**2) ** -0.5
                for r, generator in enumerate(generators):
                    nn.init.xavier_normal_(weight[r], generator=generator)
                    nn.init.uniform_(bias[r], -bound, bound, generator=generator)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(bias))

    def flat(self) -> list[Tensor]:
        """Weights (R, out, in, 3, 3) and biases (R, out) in turn, first layer first."""
        return [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, shape (R, widths[0], H W B). Returns: shape (R, widths[-1], H W B)."""
        return self.arithmetic.forward(x, self.flat())[-1]
