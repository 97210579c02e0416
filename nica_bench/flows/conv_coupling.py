"""Coupling blocks whose halves are channels of a map and whose subnets are convolutional."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nica_bench.flows.convnet import ConvNet, Convolutional
from nica_bench.flows.coupling import Coupling

__all__ = ["ConvCoupling"]


class ConvCoupling(Coupling):
    """A `Coupling` of the channels of C x H x W maps: x1 and x2 are C // 2 and C - C // 2 channels.

    The scales sum to zero over the channels at every position (FrEIA's GINCouplingBlock takes the mean over axis 1 of
    (B, C, H, W)), so the volume is kept at each of them.

    Args:
        generators: one CPU generator for each of the R replicates.
        channels: C, at least 2.
        arithmetic: size of the maps H x W, and precision.
        options: of `Coupling`: hidden (channels of the subnets' hidden layers), kind, zero_sum, clamp, identity, dtype.

    Raises:
        UsageError: as `Coupling`.
    """

    arithmetic: Convolutional

    def __init__(
        self, generators: Sequence[torch.Generator], channels: int, arithmetic: Convolutional, **options: Any
    ) -> None:
        self.arithmetic = arithmetic  # before the modules are made: make_subnet needs it
        super().__init__(generators, channels, **options)

    def make_subnet(
        self, generators: Sequence[torch.Generator], widths: Sequence[int], identity: bool, dtype: torch.dtype | None
    ) -> ConvNet:
        """A network from the channels of one half to what moves the other."""
        return ConvNet(generators, widths, self.arithmetic, zero_last=identity, dtype=dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Differentiable once.

        Args:
            x: shape (R, C H W, B), the rows in the order (C, H, W).

        Returns:
            y, shape (R, C H W, B), and the log-determinant, shape (R, B); None where it is zero by construction.
        """
        y, log_det = super().forward(self._maps(x))
        if log_det is not None:
            log_det = log_det.view(x.shape[0], -1, x.shape[2]).sum(1)
        return y.view_as(x), log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, C H W, B). Returns: the x with forward(x) = y, up to rounding."""
        return super().inverse(self._maps(y)).view_as(y)

    def _maps(self, x: Tensor) -> Tensor:
        """The channels as rows, positions and batch as columns: (R, C, H W B)."""
        return x.reshape(x.shape[0], -1, self.arithmetic.height * self.arithmetic.width * x.shape[2])
