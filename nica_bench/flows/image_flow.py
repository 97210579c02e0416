"""The flow of images: convolutional couplings at falling resolution, then fully connected ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nica_bench.errors import UsageError
from nica_bench.flows.conv_coupling import ConvCoupling
from nica_bench.flows.convnet import Convolutional, Precision
from nica_bench.flows.coupling import Coupling, Kind
from nica_bench.flows.linear import MLP
from nica_bench.flows.permutation import Permutation
from nica_bench.flows.transform import Clamp

__all__ = ["Block", "Downsampling", "ImageFlow"]


class Downsampling(Permutation):
    """Each 2 x 2 square becomes one position of four times the channels: the checkerboard of i-RevNet.

    Jacobsen, Smeulders and Oyallon 2018, section 3.1. Channel 4 c + 2 i + j of the result holds the pixels
    (2 h + i, 2 w + j) of channel c, the order of FrEIA's IRevNetDownsampling.

    Args:
        replicates: R.
        shape: (C, H, W) of its input; it gives (4 C, H / 2, W / 2). Rows are in this order on both sides.

    Raises:
        UsageError: if a side is odd.
    """

    def __init__(self, replicates: int, shape: tuple[int, int, int]) -> None:
        nn.Module.__init__(self)
        channels, height, width = shape
        if height % 2 or width % 2 or min(shape) < 1:
            raise UsageError(f"expected images of even height and width to take apart, got {height} x {width}")
        rows = torch.arange(math.prod(shape)).view(channels, height // 2, 2, width // 2, 2)
        order = rows.permute(0, 2, 4, 1, 3).reshape(1, -1)
        self.register_buffer("order", order.repeat(replicates, 1), persistent=False)


class ImageFlow(nn.Module):
    """An invertible map of C x H x W images, one a replicate: the EMNIST network of the paper (Table 3) by default.

    At each level a checkerboard downsampling and `conv_blocks` convolutional couplings, subnets of three 3x3
    convolutions; then `dense_blocks` fully connected couplings of all D = C H W numbers, subnets of three layers as
    wide as half of D. Before each coupling a fixed random permutation, of channels or of all numbers. Weights are
    Xavier normal, those of the subnets' last layers zero. A replicate of 1 x 28 x 28 images has 2,620,192 learnable
    numbers.

    The second level is left out where the sides can be halved only once.

    Replicates are computed one after another in the convolutions and in one product in the dense couplings. Alone a
    replicate's last bits may differ from those in a group; as the layers are large, nothing is gained by a group.

    Args:
        generators: one CPU generator for each of the R replicates; a replicate depends on no other.
        shape: (C, H, W); even H and W.
        widths: channels of the subnets' hidden layers at each level.
        conv_blocks: convolutional couplings at each level.
        dense_blocks: fully connected couplings.
        dense_width: width of their subnets' hidden layers; 0 is D // 2.
        coupling: "gin" (volume preserving, the scales' mean taken off), "realnvp" (affine) or "nice" (additive).
        clamp: how scales are bounded, "atan" or "tanh"; see `Coupling`.
        identity: start as a permutation of the pixels. False: every layer random.
        precision: of the products inside the convolutional subnets; see `Convolutional`. The couplings themselves are
            in the type of x, so the flow stays invertible and, as GIN, volume preserving.
        dtype: of the parameters; torch's default where None.

    Raises:
        UsageError: an unknown name or a size out of range.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        shape: tuple[int, int, int],
        *,
        widths: Sequence[int] = (16, 32),
        conv_blocks: int = 4,
        dense_blocks: int = 2,
        dense_width: int = 0,
        coupling: Kind = "gin",
        clamp: Clamp = "atan",
        identity: bool = True,
        precision: Precision = "float32",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.features = math.prod(shape)
        options: dict[str, Any] = {"kind": coupling, "clamp": clamp, "identity": identity, "dtype": dtype}
        options["centred"] = coupling == "gin"
        self.layers = nn.ModuleList()
        for level, width in enumerate(widths):
            if level and (shape[1] % 2 or shape[2] % 2):
                break
            self.layers.append(Downsampling(len(generators), shape))
            shape = (4 * shape[0], shape[1] // 2, shape[2] // 2)
            arithmetic = Convolutional(shape[1], shape[2], precision)
            for _ in range(conv_blocks):
                permutation = Permutation(generators, shape[0])
                block = ConvCoupling(generators, shape[0], arithmetic, hidden=(width, width), **options)
                self.layers.append(Block(permutation, block))
        hidden = dense_width or self.features // 2
        for _ in range(dense_blocks):
            permutation = Permutation(generators, self.features)
            dense = Coupling(generators, self.features, hidden=(hidden, hidden), **options)
            for subnet in (dense.subnet2, dense.subnet1):
                _make_xavier(cast(MLP, subnet), generators, zero_last=identity)
            self.layers.append(Block(permutation, dense))

    @property
    def volume_preserving(self) -> bool:
        """Whether the log-determinant is zero by construction."""
        return all(layer.coupling.volume_preserving for layer in self.layers if isinstance(layer, Block))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Differentiable once.

        Args:
            x: images, shape (R, D, B), the rows in the order (C, H, W).

        Returns:
            w, shape (R, D, B), and the log-determinant of dw/dx, shape (R, B): zeros, without a gradient, where the
            flow preserves volume.
        """
        total: Tensor | None = None
        for layer in self.layers:
            if isinstance(layer, Downsampling):
                x = layer(x)
                continue
            x, log_det = layer(x)
            if log_det is not None:
                total = log_det if total is None else total + log_det
        return x, x.new_zeros(x.shape[0], x.shape[2]) if total is None else total

    def inverse(self, w: Tensor) -> Tensor:
        """Args: w, shape (R, D, B). Returns: the x with forward(x) = w, up to rounding."""
        for layer in reversed(self.layers):
            w = layer.inverse(w)  # type: ignore[operator]
        return w


class Block(nn.Module):
    """A permutation of channels (or of all numbers) and the coupling behind it."""

    def __init__(self, permutation: Permutation, coupling: Coupling) -> None:
        super().__init__()
        self.permutation = permutation
        self.coupling = coupling

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Args: x, shape (R, D, B). Returns: y of that shape, and the log-determinant as `Coupling.forward`."""
        moved: tuple[Tensor, Tensor | None] = self.coupling(self.permutation(self._channels(x)).view_as(x))
        return moved

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, up to rounding."""
        return self.permutation.inverse(self._channels(self.coupling.inverse(y))).view_as(y)

    def _channels(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], self.permutation.order.shape[1], -1)


def _make_xavier(network: MLP, generators: Sequence[torch.Generator], *, zero_last: bool) -> None:
    """Xavier normal weights, but for a last layer that is to stay zero."""
    layers = list(network.layers)[: -1 if zero_last else None]
    with torch.no_grad():
        for layer in layers:
            for weight, generator in zip(cast(Tensor, layer.weight), generators, strict=True):
                nn.init.xavier_normal_(weight, generator=generator)
