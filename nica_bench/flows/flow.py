"""Whole flows: blocks of a permutation and a coupling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from nica_bench.errors import UsageError
from nica_bench.flows.alignment import whole_vectors
from nica_bench.flows.coupling import Coupling, Kind, ZeroSum
from nica_bench.flows.permutation import Permutation
from nica_bench.flows.rotation import LearnedRotation, Rotation
from nica_bench.flows.transform import Clamp

__all__ = ["Between", "Flow"]

Between = Literal["permutation", "rotation", "learned"]


class Flow(nn.Module):
    """An invertible map of D features, one a replicate: in each block a fixed permutation, then a coupling.

    The artificial-data network of Sorrenson, Rother and Köthe 2020 is the default. With its defaults a
    replicate of 10 features has 4,480 learnable numbers (3,600 as NICE).

    A replicate's outputs and gradients are the same bit for bit in every group of two or more on one CPU. (Alone they
    differ in the last bits: a product of one matrix takes another kernel.)

    Args:
        generators: one CPU generator for each of the R replicates; a replicate depends on no other.
        features: number of features D, at least 2.
        blocks: number of blocks, at least 1.
        hidden: widths of the subnets' hidden layers.
        coupling: "gin" (volume preserving), "realnvp" (affine) or "nice" (additive).
        zero_sum: how GIN's scales come to sum to zero, "mean" or "last"; see `Coupling`.
        clamp: how scales are bounded, "atan" or "tanh"; see `Coupling`.
        identity: start as a permutation of the features (a model). False: every layer random (a mixing).
        between: what stands before each coupling: "permutation" (fixed, random), "rotation" (fixed, random) or
            "learned" (a rotation that is learned and starts as a random permutation).
        dtype: of the parameters; torch's default where None.

    Raises:
        UsageError: an unknown name or a size out of range.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        features: int,
        *,
        blocks: int = 8,
        hidden: Sequence[int] = (10, 10),
        coupling: Kind = "gin",
        zero_sum: ZeroSum = "mean",
        clamp: Clamp = "atan",
        identity: bool,
        between: Between = "permutation",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise UsageError(f"expected at least one block, got {blocks}")
        self.permutations = nn.ModuleList()
        self.couplings = nn.ModuleList()
        for _ in range(blocks):
            if between == "permutation":
                self.permutations.append(Permutation(generators, features))
            else:
                kind = Rotation if between == "rotation" else LearnedRotation
                self.permutations.append(kind(generators, features, dtype))
            self.couplings.append(
                Coupling(
                    generators,
                    features,
                    hidden=hidden,
                    kind=coupling,
                    zero_sum=zero_sum,
                    clamp=clamp,
                    identity=identity,
                    dtype=dtype,
                )
            )

    @property
    def volume_preserving(self) -> bool:
        """Whether the log-determinant is zero by construction."""
        return all(cast(Coupling, coupling).volume_preserving for coupling in self.couplings)

    def make_incompressible(self, share: float) -> None:
        """Set how much of the volume's change GIN's blocks take off: 1 is GIN, 0 the flow without its constraint."""
        for coupling in self.couplings:
            cast(Coupling, coupling).incompressible = share

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Differentiable once.

        Args:
            x: shape (R, D, B).

        Returns:
            w, shape (R, D, B), and the log-determinant of dw/dx, shape (R, B): zeros, without a gradient, where the
            flow preserves volume.
        """
        batch = x.shape[-1]
        x = whole_vectors(x)
        total: Tensor | None = None
        for permutation, coupling in zip(self.permutations, self.couplings, strict=True):
            x, log_det = coupling(permutation(x))
            if log_det is not None:
                total = log_det if total is None else total + log_det
        if total is None:
            total = x.new_zeros(x.shape[0], x.shape[2])
        return x[..., :batch], total[..., :batch]

    def inverse(self, w: Tensor) -> Tensor:
        """Args: w, shape (R, D, B). Returns: the x with forward(x) = w, up to rounding."""
        batch = w.shape[-1]
        w = whole_vectors(w)
        for permutation, coupling in zip(reversed(self.permutations), reversed(self.couplings), strict=True):
            w = permutation.inverse(coupling.inverse(w))  # type: ignore[operator]
        return w[..., :batch]
