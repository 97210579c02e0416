"""Two-sided coupling blocks: affine (RealNVP), volume-preserving (GIN) and additive (NICE)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.flows.linear import MLP
from nica_bench.flows.subnet import Arithmetic, Dense
from nica_bench.flows.transform import Clamp, Scale, Transform

if TYPE_CHECKING:
    from nica_bench.flows.convnet import ConvNet

__all__ = ["Coupling", "Kind", "ZeroSum"]

Kind = Literal["gin", "realnvp", "nice"]
ZeroSum = Literal["mean", "last"]

# Largest |s| is 2 for both clamps (0.636 is FrEIA's 2 / pi); their slopes at zero, 1.27 and 2, differ.
_FACTORS: dict[Clamp, float] = {"atan": 2 * 0.636, "tanh": 2.0}


class Coupling(nn.Module):
    """y1 = x1 * exp(s2(x2)) + t2(x2), then y2 = x2 * exp(s1(y1)) + t1(y1), one pair of subnets a replicate.

    The halves have D // 2 and D - D // 2 features. (FrEIA rounds D / 2 half to even: it differs at D = 3, 7, 11, ...)
    One subnet a half predicts (s, t) jointly; `subnet2` sees x2, `subnet1` sees y1, as in FrEIA. Kinds:

    - "realnvp": s = clamp(a). Dinh, Sohl-Dickstein and Bengio 2017, section 3.2.
    - "gin": s sums to zero, so the volume is kept. Sorrenson, Rother and Köthe 2020.
      `zero_sum="mean"` takes the mean over the half off the clamped values (the authors' code). `zero_sum="last"` sets
      the last one to minus the sum of the others, after the clamp (the paper): it alone can leave [-2, 2], and the
      subnet's output for it is not used, its gradient zero. A half of one feature has s = 0.
    - "nice": s = 0 and the subnets predict t alone. Dinh, Krueger and Bengio 2015, section 3.2.

    Args:
        generators: one CPU generator for each of the R replicates.
        features: number of features D, at least 2.
        hidden: widths of the subnets' hidden layers.
        kind: "gin", "realnvp" or "nice".
        zero_sum: "mean" or "last"; GIN only.
        clamp: "atan", 2 * 0.636 * atan(a), or "tanh", 2 * tanh(a); not for NICE.
        identity: start with zeros in the last layers, so the block is the identity at first.
        centred: compute GIN's mean as such in place of a product with a small matrix: quicker where the halves have
            hundreds of features, or few and long rows; the last bits differ. Only with `zero_sum="mean"`.
        dtype: of the parameters; torch's default where None.

    Raises:
        UsageError: fewer than two features, or an unknown kind, zero sum or clamp.
    """

    incompressible: float = 1.0
    """How much of the volume's change a GIN block takes off, 0 to 1: below 1 it has a log-determinant."""
    zero_sum1: Tensor | None
    zero_sum2: Tensor | None
    subnet1: MLP | ConvNet
    subnet2: MLP | ConvNet
    arithmetic: Arithmetic = Dense()

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        features: int,
        *,
        hidden: Sequence[int] = (10, 10),
        kind: Kind = "gin",
        zero_sum: ZeroSum = "mean",
        clamp: Clamp = "atan",
        identity: bool = True,
        centred: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for what, value, known in (("coupling", kind, Kind), ("zero sum", zero_sum, ZeroSum), ("clamp", clamp, Clamp)):
            if value not in get_args(known):
                raise UsageError(f"unknown {what} '{value}'; {did_you_mean(value, get_args(known))}")
        if centred and (kind != "gin" or zero_sum != "mean"):
            raise UsageError(f"only GIN's scales that sum to zero by their mean can be centred, got {kind}, {zero_sum}")
        if features < 2:
            raise UsageError(f"expected at least 2 features to couple, got {features}")
        self.split = features // 2
        self.scale = None if kind == "nice" else Scale(clamp, _FACTORS[clamp], kind == "realnvp", centred)
        sizes = (self.split, features - self.split)
        for name, size in zip(("zero_sum1", "zero_sum2"), sizes, strict=True):
            matrix = _zero_sum(zero_sum, size, len(generators)) if kind == "gin" and not centred else None
            self.register_buffer(name, matrix, persistent=False)
        outputs = 1 if kind == "nice" else 2
        self.subnet2, self.subnet1 = (
            self.make_subnet(generators, (given, *hidden, outputs * moved), identity, dtype)
            for given, moved in (sizes[::-1], sizes)
        )

    def make_subnet(
        self, generators: Sequence[torch.Generator], widths: Sequence[int], identity: bool, dtype: torch.dtype | None
    ) -> MLP | ConvNet:
        """A network from one half to what moves the other."""
        return MLP(generators, widths, zero_last=identity, dtype=dtype)

    @property
    def volume_preserving(self) -> bool:
        """Whether the log-determinant is zero by construction."""
        return self.scale is None or not self._scale.volume  # type: ignore[union-attr]

    @property
    def _scale(self) -> Scale | None:
        """With the log-determinant while a GIN block is still compressible."""
        return self.scale if self.incompressible == 1 or self.scale is None else replace(self.scale, volume=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Differentiable once.

        Args:
            x: shape (R, D, B).

        Returns:
            y, shape (R, D, B), and the log-determinant, shape (R, B); None where it is zero by construction.
        """
        matrices = self._matrix(self.zero_sum1, x), self._matrix(self.zero_sum2, x)
        parameters = *self.subnet2.flat(), *self.subnet1.flat()
        y, log_det = Transform.apply(x, self._scale, self.split, *matrices, self.arithmetic, *parameters)
        return y, log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Args: y, shape (R, D, B). Returns: the x with forward(x) = y, up to rounding."""
        y1, y2 = y[:, : self.split], y[:, self.split :]
        x2 = self._undo(y2, self.subnet1(y1), self.zero_sum2)
        x1 = self._undo(y1, self.subnet2(x2), self.zero_sum1)
        return torch.cat((x1, x2), 1)

    def _undo(self, y: Tensor, output: Tensor, zero_sum: Tensor | None) -> Tensor:
        if self.scale is None:
            return y - output
        a, t = output.chunk(2, 1)
        return (y - t) * torch.exp(-self.scale.log_scale(a, self._matrix(zero_sum, y)))

    def _matrix(self, zero_sum: Tensor | None, like: Tensor) -> Tensor | None:
        if zero_sum is None or self.scale is None:
            return None
        matrix = zero_sum.to(like.dtype).mul_(self.incompressible * self.scale.factor / zero_sum.shape[-1])
        if self.incompressible < 1:
            matrix.diagonal(dim1=1, dim2=2).add_((1 - self.incompressible) * self.scale.factor)
        return matrix


def _zero_sum(how: ZeroSum, size: int, replicates: int) -> Tensor:
    """`size` times the matrix that makes s sum to zero, shape (R, size, size).

    One small product instead of a mean and a difference over all of s. Whole numbers, so a flow that is built in
    float32 and cast to float64 preserves volume to float64's precision.
    """
    matrix = size * torch.eye(size, dtype=torch.int32)
    if how == "mean":
        matrix -= 1
    else:
        matrix[-1] = -size
        matrix[-1, -1] = 0
    return matrix.repeat(replicates, 1, 1)
