"""Linear layers and perceptrons, one a replicate, applied in one batched product."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from nica_bench.errors import UsageError
from nica_bench.flows.alignment import whole_vectors
from nica_bench.flows.subnet import Perceptron

__all__ = ["MLP", "Linear"]


class Linear(nn.Module):
    """x -> W x + b, one W and b a replicate.

    Each replicate's weights are drawn from its own generator exactly as `torch.nn.Linear` draws them, uniform within
    +-1/sqrt(inputs) for weight and bias (He et al. 2015 with a = sqrt(5)), so they do not depend on its neighbours.

    Args:
        replicates: one CPU generator for each of the R replicates.
        inputs: number of input features.
        outputs: number of output features.
        zero: start with zeros, nothing is drawn.
        dtype: of the parameters; torch's default where None. Float32 and float64 draw different numbers.

    Attributes:
        weight: shape (R, outputs, inputs).
        bias: shape (R, outputs, 1).

    Raises:
        UsageError: no generator, or fewer than one feature.
    """

    def __init__(
        self,
        replicates: Sequence[torch.Generator],
        inputs: int,
        outputs: int,
        *,
        zero: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not replicates:
            raise UsageError("expected at least one generator, one a replicate, got none")
        if inputs < 1 or outputs < 1:
            raise UsageError(f"expected at least one input and one output, got {inputs} and {outputs}")
        weight = torch.zeros(len(replicates), outputs, inputs, dtype=dtype)
        bias = torch.zeros(len(replicates), outputs, 1, dtype=dtype)
        if not zero:
            for r, generator in enumerate(replicates):
                nn.init.kaiming_uniform_(weight[r], a=5**0.5, generator=generator)
                nn.init.uniform_(bias[r], -(inputs**-0.5), inputs**-0.5, generator=generator)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, shape (R, inputs, B). Returns: shape (R, outputs, B)."""
        return torch.baddbmm(self.bias, self.weight, whole_vectors(x))[..., : x.shape[-1]]


class MLP(nn.Module):
    """Linear layers with a ReLU between each two, one network a replicate. Differentiable once.

    Args:
        generators: one CPU generator for each of the R replicates.
        widths: features of the input, of each hidden layer, of the output; at least two.
        zero_last: start with zeros in the last layer, so the output is zero at first.
        dtype: of the parameters; torch's default where None.

    Raises:
        UsageError: fewer than two widths, or as in `Linear`.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        widths: Sequence[int],
        *,
        zero_last: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise UsageError(f"expected at least two widths, input and output, got {list(widths)}")
        last = len(widths) - 2
        self.layers = nn.ModuleList(
            Linear(generators, inputs, outputs, zero=zero_last and i == last, dtype=dtype)
            for i, (inputs, outputs) in enumerate(pairwise(widths))
        )

    def flat(self) -> list[Tensor]:
        """Weights (R, out, in) and biases (R, out, 1) in turn, first layer first."""
        return [cast(Tensor, p) for layer in self.layers for p in (layer.weight, layer.bias)]

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, shape (R, widths[0], B). Returns: shape (R, widths[-1], B)."""
        output: Tensor = Perceptron.apply(whole_vectors(x), *self.flat())
        return output[..., : x.shape[-1]]
