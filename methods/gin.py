"""GIN, maximum likelihood with a volume-preserving flow (paper, section 4), and flows with other couplings.

All are coupling flows whose codes are independent given the condition, trained by maximum likelihood. They differ in
the coupling (volume-preserving, affine, additive) and in the density of the codes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.training import TorchMethod

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from nica_bench.flows.flow import Between
    from nica_bench.training.data import Batch, Shape

__all__ = ["GIN", "NICE", "AnnealedGIN", "ClassConditionalFlow", "Glow", "MatchedGIN"]

JACOBIAN_POINTS = 256
"""The number of validation points at which the scale-free ranking computes Jacobians."""


@dataclass(frozen=True)
class ClassConditionalFlow(TorchMethod):
    """A coupling flow from x to codes with a factorial conditional distribution, the base class of all flows here.

    With `moments=empirical` the codes of a class are normal with the moments of the batch (eq. 10 to 12).
    """

    side_information: ClassVar[str] = "u"
    coupling: ClassVar[Literal["gin", "realnvp", "nice"]]
    scale_free: ClassVar[bool] = False
    """Whether the likelihood does not depend on the scale of a code, so that its std is not its importance."""

    blocks: int = parameter(8, "coupling blocks", low=1, high=200)
    width: int = parameter(0, "width of the subnets' two hidden layers; 0 is max(10, D)", low=0)
    moments: str = parameter(
        "empirical",
        "moments of the classes: those of the batch, or learned parameters",
        choices=("empirical", "learned"),
    )
    augmentation: float = parameter(0.01, "std of the Gaussian noise added to x at each step", low=0)
    between: str = parameter(
        "permutation",
        "map before each coupling: a fixed random permutation or rotation, or a learned rotation",
        choices=("permutation", "rotation", "learned"),
        optional=True,
    )

    def skip(self, scenario: Scenario) -> str | None:
        """Return a reason for images, which `gin-conv` and `glow-conv` are made for."""
        if scenario.image_shape is not None:
            return "its subnetworks take vectors: for images use gin-conv or glow-conv"
        return None

    @abstractmethod
    def flow_options(self) -> dict[str, Any]:
        """Return the options of the coupling."""

    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """Return the flow, initialised as a permutation or rotation, and the class moments if they are learned."""
        import torch
        from torch import nn

        from nica_bench.flows import Flow
        from nica_bench.mixings import subnet_width

        width = self.width or subnet_width(shape.n_observed)
        model = nn.Module()
        model.flow = Flow(
            generators,
            shape.n_observed,
            blocks=self.blocks,
            hidden=(width, width),
            coupling=self.coupling,
            identity=True,
            between=cast("Between", self.between),
            **self.flow_options(),
        )
        if self.moments == "learned":
            for name in ("mean", "log_sd"):
                zeros = torch.zeros(shape.replicates, shape.n_observed, shape.conditions)
                model.register_parameter(name, nn.Parameter(zeros))
        return model

    def codes(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the codes w = g^{-1}(x), shape (R, D, B), and log|det dw/dx|, shape (R, B), or None if it is zero."""
        w, log_det = model.flow(x)
        return w, None if model.flow.volume_preserving else log_det

    def code_losses(self, model: nn.Module, w: Tensor, onehot: Tensor, progress: float) -> Tensor:
        """Return the mean negative log-likelihood of each code, shape (R, D), in nats."""
        from nica_bench.training.moments import gaussian_loss, gaussian_losses

        if self.moments == "learned":
            return gaussian_loss(w, onehot, model.mean, model.log_sd)
        return gaussian_losses(w, onehot)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the negative log-likelihood, shape (R,), in nats (eq. 10)."""
        w, log_det = self.codes(model, batch.augmented(self.augmentation))
        loss = self.code_losses(model, w, batch.onehot, batch.progress).sum(1)
        return loss if log_det is None else loss - log_det.mean(-1)

    def test_loss(self, model: nn.Module, batch: Batch, train: Batch) -> Tensor:
        """Return the negative log-likelihood of test data with the class moments of the training codes, shape (R,)."""
        from nica_bench.training.moments import flow_loss_after

        if self.moments == "learned":
            return self.loss(model, batch)
        return flow_loss_after(partial(self.codes, model), batch.x, batch.onehot, train.x, train.onehot)

    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Return the codes w = g^{-1}(x), shape (R, D, B)."""
        return self.codes(model, x)[0]

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """Return the spectrum (within-class std) and a scale-free ranking of the codes, shape (R, D) each.

        The second is sigma_j ||dx / dw_j||, the change of x per standard deviation of a code, which does not depend on
        the scale of the codes.
        """
        import torch

        from nica_bench.training.moments import within_class_sd

        with torch.no_grad():
            w, _ = self.codes(model, x)
            std = within_class_sd(w, onehot)
        few = x[..., :JACOBIAN_POINTS].clone().requires_grad_()
        codes, _ = self.codes(model, few)
        rows = [torch.autograd.grad(codes[:, j].sum(), few, retain_graph=True)[0] for j in range(x.shape[1])]
        jacobian = torch.stack(rows, 1).permute(0, 3, 1, 2)
        effect = torch.linalg.inv_ex(jacobian)[0].pow(2).sum(2).mean(1).sqrt()
        found = {"within_class_sd": std, "effect": std * effect}
        return dict(reversed(found.items())) if self.scale_free else found


@dataclass(frozen=True)
class GIN(ClassConditionalFlow):
    """General incompressible-flow network: 8 volume-preserving coupling blocks, subnets 5-10-10-10 for D = 10.

    The flow maps x to codes whose conditional distribution is a factorial Gaussian for each class, with the moments of
    the batch (eq. 10 to 12). Because the flow preserves volume, the importance of a code is its standard deviation: the
    root mean square over classes of the within-class one.

    With `anneal` the constraint is introduced gradually: over that share of the steps the part of the volume change
    that each block removes rises from 0 to 1, and the log-determinant of the rest is part of the loss. The final model
    preserves volume exactly.
    """

    name: ClassVar[str] = "gin"
    version: ClassVar[str] = "4"
    coupling = "gin"

    zero_sum: str = parameter(
        "mean", "how s is made to sum to zero: subtract its mean, or set its last component", choices=("mean", "last")
    )
    clamp: str = parameter(
        "atan", "clamp of s: 2 * .636 atan (as in the paper's code) or 2 tanh", choices=("atan", "tanh")
    )
    anneal: float = parameter(0.0, "share of the steps over which the flow becomes incompressible", low=0, high=1)

    def flow_options(self) -> dict[str, Any]:
        """Return the zero sum and the clamp."""
        return {"zero_sum": self.zero_sum, "clamp": self.clamp}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the negative log-likelihood, shape (R,), in nats (eq. 10)."""
        model.flow.make_incompressible(min(1.0, batch.progress / self.anneal) if self.anneal else 1.0)
        loss = super().loss(model, batch)
        model.flow.make_incompressible(1.0)
        return loss


@dataclass(frozen=True)
class AnnealedGIN(GIN):
    """GIN with a gradual volume constraint, for mixings on which the optimisation of `gin` fails (`mixing=medium`).

    It has the side information and the exact volume preservation of `gin` at about ten times the cost. The constraint
    is introduced over the first 60 % of the steps, the permutations between blocks become learned rotations, the
    gradient is clipped, the learning rate starts lower, and there are six times as many steps. The settings were chosen
    among those in benchmarks/README.md by the validation loss alone. As the scale of a code is free during training,
    the own ranking is the scale-free one, as for Glow.
    """

    name: ClassVar[str] = "gin-annealed"
    default: ClassVar[bool] = False
    scale_free: ClassVar[bool] = True

    lr: float = parameter(5e-3, "initial learning rate", above=0)
    steps: int = parameter(6_000, "optimiser steps of the cosine schedule", low=1)
    clip: float = parameter(5.0, "largest norm of the gradient; 0 is no limit", low=0)
    anneal: float = parameter(0.6, "share of the steps over which the flow becomes incompressible", low=0, high=1)
    between: str = parameter(
        "learned",
        "map before each coupling: a fixed random permutation or rotation, or a learned rotation",
        choices=("permutation", "rotation", "learned"),
    )


@dataclass(frozen=True)
class MatchedGIN(GIN):
    """GIN whose codes have the distribution family of the true latents, in natural coordinates (paper, Table 1).

    It receives the family. Gamma, inverse gamma, inverse Gaussian and beta densities determine the scale of a code,
    which the Gaussian leaves free, so that log- and logit-latents are recovered with slope 1 or -1. The first share
    `warm` of the steps trains with the Gaussian; the gradient is clipped; a diagonal matrix of determinant one changes
    the relative scales of codes. The importance of a code is the std of the normal distribution with its entropy.
    """

    name: ClassVar[str] = "gin-matched"
    default: ClassVar[bool] = False
    side_information: ClassVar[str] = "uf"

    clip: float = parameter(5.0, "largest norm of the gradient; 0 is no limit", low=0)
    steps: int = parameter(2_000, "optimiser steps of the cosine schedule", low=1)
    warm: float = parameter(0.3, "share of the steps that train with the Gaussian base distribution", low=0, high=1)

    def skip(self, scenario: Scenario) -> str | None:
        """Return a reason unless the latents have a family and their natural coordinates are mixed."""
        if (reason := super().skip(scenario)) is not None:
            return reason
        if scenario.distribution_name is None:
            return "its latents have no known family"
        if scenario.mixed_coordinates != "natural":
            return "its base distribution is a density of natural coordinates: use coordinates=natural"
        return None

    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """Return the flow and the diagonal matrix."""
        import torch
        from torch import nn

        model = super().build(shape, generators, x)
        model.family = shape.family
        model.register_parameter("log_scale", nn.Parameter(torch.zeros(shape.replicates, shape.n_observed, 1)))
        return model

    def codes(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the codes after multiplication by the diagonal matrix exp(a - mean a)."""
        import torch

        w, log_det = super().codes(model, x)
        a = model.log_scale
        return w * torch.exp(a - a.mean(1, keepdim=True)), log_det

    def code_losses(self, model: nn.Module, w: Tensor, onehot: Tensor, progress: float) -> Tensor:
        """Return the losses under the Gaussian at first, then under the family; shape (R, D), in nats."""
        from nica_bench.training.bases import BASES

        if progress < self.warm:
            return super().code_losses(model, w, onehot, progress)
        return BASES[cast("str", model.family)](w, onehot).to(w.dtype)

    def test_loss(self, model: nn.Module, batch: Batch, train: Batch) -> Tensor:
        """Return the loss; the parameters of the family are fitted to the data on which it is evaluated."""
        return self.loss(model, batch)

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """Return the standard deviation by entropy power, followed by the rankings of GIN."""
        import torch

        from nica_bench.training.bases import entropy_power_sd

        with torch.no_grad():
            power = entropy_power_sd(self.code_losses(model, self.codes(model, x)[0], onehot, 1.0))
        return {"entropy_power_sd": power, **super().rankings(model, x, onehot)}


@dataclass(frozen=True)
class Glow(ClassConditionalFlow):
    """Compressible counterpart of GIN: affine couplings, the same networks, and the log-determinant in the loss.

    The scale of a code is not its importance in this model, so the own ranking is the scale-free one.
    """

    name: ClassVar[str] = "glow"
    default: ClassVar[bool] = False
    coupling = "realnvp"
    scale_free: ClassVar[bool] = True

    clamp: str = parameter(
        "atan", "clamp of s: 2 * .636 atan (as in the paper's code) or 2 tanh", choices=("atan", "tanh")
    )

    def flow_options(self) -> dict[str, Any]:
        """Return the clamp."""
        return {"clamp": self.clamp}


@dataclass(frozen=True)
class NICE(ClassConditionalFlow):
    """Additive counterpart of GIN: couplings that only shift, which preserve volume too (Dinh et al. 2015)."""

    name: ClassVar[str] = "nice"
    default: ClassVar[bool] = False
    coupling = "nice"

    def flow_options(self) -> dict[str, Any]:
        """Return no options, since there is no scale."""
        return {}
