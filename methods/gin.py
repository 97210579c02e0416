"""GIN: maximum likelihood with a volume-preserving flow (paper, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from nica_bench.parameters import parameter
from nica_bench.training import TorchMethod

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from nica_bench.training.data import Batch, Shape

__all__ = ["GIN"]

JACOBIAN_POINTS = 256
"""Validation points over which the scale-free ranking takes its Jacobians."""


@dataclass(frozen=True)
class GIN(TorchMethod):
    """General incompressible-flow network: 8 volume-preserving coupling blocks, subnets 5-10-10-10 for D = 10.

    The flow maps x to codes whose conditional distribution is a factorial Gaussian for each class, with the moments of
    the batch itself (eq. 10 to 12). Volume preservation makes a code's standard deviation its importance: the root
    mean square over classes of the within-class one. A ranking that no rescaling of the codes changes is kept beside
    it: sigma_j ||dx / dw_j||, how far one standard deviation of a code moves the data.
    """

    name: ClassVar[str] = "gin"
    uses_conditions: ClassVar[bool] = True

    blocks: int = parameter(8, "coupling blocks", low=1, high=200)
    width: int = parameter(0, "width of the subnets' two hidden layers; 0 is max(10, D)", low=0)
    zero_sum: str = parameter("mean", "how s sums to zero: its mean off, or the last", choices=("mean", "last"))
    clamp: str = parameter("atan", "clamp of s: 2 * .636 atan (the paper's code) or 2 tanh", choices=("atan", "tanh"))
    moments: str = parameter(
        "empirical", "class moments: of the batch, or learned parameters", choices=("empirical", "learned")
    )
    augmentation: float = parameter(0.01, "sd of the Gaussian noise added to x at each step", low=0)

    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """The flow, starting as a permutation, and learned class moments where asked for."""
        import torch
        from torch import nn

        from nica_bench.flows import Flow
        from nica_bench.mixings import subnet_width

        width = self.width or subnet_width(shape.dimensions)
        model = nn.Module()
        model.flow = Flow(
            generators,
            shape.dimensions,
            blocks=self.blocks,
            hidden=(width, width),
            coupling="gin",
            zero_sum=cast("Literal['mean', 'last']", self.zero_sum),
            clamp=cast("Literal['atan', 'tanh']", self.clamp),
            identity=True,
        )
        if self.moments == "learned":
            for name in ("mean", "log_sd"):
                zeros = torch.zeros(shape.replicates, shape.dimensions, shape.conditions)
                model.register_parameter(name, nn.Parameter(zeros))
        return model

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Negative log-likelihood, shape (R,), in nats (eq. 10)."""
        from nica_bench.training.moments import gaussian_class_loss, gaussian_loss

        w, _ = model.flow(batch.augmented(self.augmentation))
        if self.moments == "learned":
            return gaussian_loss(w, batch.onehot, model.mean, model.log_sd)
        return gaussian_class_loss(w, batch.onehot)

    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Codes w = g^{-1}(x), shape (R, D, B)."""
        w, _ = model.flow(x)
        return cast("Tensor", w)

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """The spectrum (within-class sd), and the scale-free ranking, shape (R, D) each."""
        import torch

        from nica_bench.training.moments import within_class_sd

        with torch.no_grad():
            w, _ = model.flow(x)
            sd = within_class_sd(w, onehot)
        few = x[..., :JACOBIAN_POINTS].clone().requires_grad_()
        codes, _ = model.flow(few)
        rows = [torch.autograd.grad(codes[:, j].sum(), few, retain_graph=True)[0] for j in range(x.shape[1])]
        jacobian = torch.stack(rows, 1).permute(0, 3, 1, 2)
        effect = torch.linalg.inv_ex(jacobian)[0].pow(2).sum(2).mean(1).sqrt()
        return {"within_class_sd": sd, "effect": sd * effect}
