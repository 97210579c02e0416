"""GIN for images (paper, section 4.3.2 and Table 3), and its compressible counterpart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from nica_bench.dataset import IMAGE_NOISE
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams
from nica_bench.training import TorchMethod

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from nica_bench.program import Program
    from nica_bench.training.data import Batch, Shape
    from nica_bench.training.schedules import Schedule

__all__ = ["ConvGIN", "ConvGlow", "ImageFlowMethod"]

CHUNK = 500
"""The number of images in one forward pass without gradients, limited by the memory of the feature maps."""
JACOBIAN_IMAGES = 8
"""The number of validation images at which the scale-free ranking computes Jacobians."""
WATCHED_IMAGES = 2_000
"""The number of validation images from which the spectrum is computed during training."""
EPOCHS, LEAST_STEPS = 15, 400
"""The default training: the number of epochs, and the smallest number of steps."""


@dataclass(frozen=True)
class ImageFlowMethod(TorchMethod):
    """A flow from images to codes that are normal given the class, the base class of convolutional GIN and Glow.

    The network is that of Table 3 for 1 x 28 x 28 images, and an analogous one for other images of even sides. The
    class moments are those of the batch (eq. 10 to 12). With 2.6 million parameters one fit uses all cores, so fits run
    one after another.

    `schedule=paper` is the training of the paper: a rate of 3e-4 for 45 epochs, then 3e-5 for 50. The default, one
    cosine schedule from 1e-3 over 15 epochs, converges faster.
    """

    side_information: ClassVar[str] = "u"
    replicated: ClassVar[bool] = False
    version: ClassVar[str] = "3"
    smallest_group: ClassVar[int] = 1
    large: ClassVar[bool] = True
    invertible: ClassVar[bool] = True
    coupling: ClassVar[Literal["gin", "realnvp"]]

    lr: float = parameter(0.0, "initial learning rate; 0 is 1e-3, or 3e-4 with schedule=paper", low=0)
    steps: int = parameter(0, "optimiser steps of the cosine schedule; 0 is 15 epochs, at least 400 steps", low=0)
    batch: int = parameter(240, "batch size", low=2)
    schedule: str = parameter(
        "cosine",
        "learning rate: cosine, or the paper's 45 epochs followed by 50 at a tenth of the rate",
        choices=("cosine", "paper"),
    )
    augmentation: float = parameter(IMAGE_NOISE, "std of the Gaussian noise added to x at each step", low=0)
    precision: str = parameter(
        "float32", "precision of the products in the convolutions", choices=("float32", "bfloat16")
    )

    def skip(self, scenario: Scenario) -> str | None:
        """Return a reason unless the observations are images of even sides."""
        if scenario.image_shape is None:
            return "its observations are not images"
        if scenario.image_shape[1] % 2 or scenario.image_shape[2] % 2:
            return f"its images have an odd side: {scenario.image_shape[1]} x {scenario.image_shape[2]}"
        return None

    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """Return the flow, initialised as a permutation of the pixels."""
        from nica_bench.flows import ImageFlow

        assert shape.image_shape is not None, "other scenarios are skipped"
        return ImageFlow(
            generators,
            shape.image_shape,
            coupling=self.coupling,
            precision=cast('Literal["float32", "bfloat16"]', self.precision),
        )

    def make_schedule(self, epoch: int, replicates: int) -> Schedule:
        """Return the cosine schedule, or the stages of the paper."""
        from nica_bench.training.schedules import Cosine, Stages

        if self.schedule == "paper":
            return Stages(self.lr or 3e-4, epoch)
        return Cosine(self.lr or 1e-3, self.steps or max(EPOCHS * epoch, LEAST_STEPS))

    def codes(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the codes w = g^{-1}(x), shape (R, D, B), and log|det dw/dx|, shape (R, B), or None if it is zero.

        Without gradients the images are processed in chunks.
        """
        import torch

        if torch.is_grad_enabled():
            w, log_det = model(x)
        else:
            parts = [model(part.contiguous()) for part in x.split(CHUNK, -1)]
            w, log_det = (torch.cat(some, -1) for some in zip(*parts, strict=True))
        return w, None if model.volume_preserving else log_det

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the negative log-likelihood, shape (R,), in nats (eq. 10)."""
        from nica_bench.training.moments import gaussian_losses

        w, log_det = self.codes(model, batch.augmented(self.augmentation))
        loss = gaussian_losses(w, batch.onehot).sum(1)
        return loss if log_det is None else loss - log_det.mean(-1)

    def test_loss(self, model: nn.Module, batch: Batch, train: Batch) -> Tensor:
        """Return the negative log-likelihood of test images with the moments of training codes, shape (R,)."""
        from nica_bench.training.moments import flow_loss_after

        return flow_loss_after(partial(self.codes, model), batch.x, batch.onehot, train.x, train.onehot)

    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Return the codes w = g^{-1}(x), shape (R, D, B)."""
        return self.codes(model, x)[0]

    def decode(self, model: nn.Module, codes: Tensor) -> Tensor:
        """Return the images g(w), shape (R, D, B)."""
        import torch

        parts: list[Tensor] = [model.inverse(part.contiguous()) for part in codes.split(CHUNK, -1)]  # type: ignore[operator]
        return torch.cat(parts, -1)

    def program(self, model: nn.Module) -> Program:
        """Return the inverse of the flow."""
        from nica_bench.flows import inverse_program

        return inverse_program(model)

    def watch(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """Return the spectrum of the first validation images."""
        return {"spectrum": self.spectrum(model, x[..., :WATCHED_IMAGES], onehot[..., :WATCHED_IMAGES])}

    def spectrum(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Return the within-class std of the codes of images with the noise of training, shape (R, D).

        The model is a density of noisy images. Without noise the codes of constant pixels are zero, and a rule for the
        knee would find the number of pixels that vary.
        """
        import torch

        from nica_bench.training.data import Batch
        from nica_bench.training.moments import within_class_sd
        from nica_bench.training.noise import Noise

        noise = Noise([Streams(0)] * len(x), x.device.type, "spectrum")
        with torch.no_grad():
            return within_class_sd(self.codes(model, Batch(x, onehot, noise).augmented(self.augmentation))[0], onehot)

    def effect(self, model: nn.Module, x: Tensor) -> Tensor:
        """Return ||dx / dw_j||, the change of the image per unit of a code, RMS over images, shape (R, D)."""
        import torch

        images = range(min(JACOBIAN_IMAGES, x.shape[-1]))
        return torch.stack([self._inverse_jacobian(model, x[..., i]).pow(2).sum(1) for i in images]).mean(0).sqrt()

    def _inverse_jacobian(self, model: nn.Module, image: Tensor) -> Tensor:
        """Return dx / dw at an image (R, D), shape (R, D, D), with the gradients of all codes in one batch."""
        import torch

        copies = image[..., None].repeat(1, 1, image.shape[-1]).requires_grad_()
        w, _ = self.codes(model, copies)
        (rows,) = torch.autograd.grad(torch.diagonal(w, dim1=1, dim2=2).sum(), copies)
        return torch.linalg.inv_ex(rows.mT)[0]


@dataclass(frozen=True)
class ConvGIN(ImageFlowMethod):
    """General incompressible-flow network for images: 8 convolutional and 2 dense volume-preserving couplings.

    Because the flow preserves volume, the importance of a code is its standard deviation: the root mean square over
    classes of the within-class one.
    """

    name: ClassVar[str] = "gin-conv"
    coupling = "gin"

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """Return the spectrum and the scale-free ranking of `glow-conv`, shape (R, D) each."""
        std = self.spectrum(model, x, onehot)
        return {"within_class_sd": std, "effect": std * self.effect(model, x)}


@dataclass(frozen=True)
class ConvGlow(ImageFlowMethod):
    """Compressible counterpart of `gin-conv`: affine couplings, equal networks, and the log-determinant in the loss.

    The scale of a code is not its importance in this model, so the own ranking is the scale-free one.
    """

    name: ClassVar[str] = "glow-conv"
    coupling = "realnvp"

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """Return the change of the image per standard deviation of a code, and the spectrum, shape (R, D) each."""
        std = self.spectrum(model, x, onehot)
        return {"effect": std * self.effect(model, x), "within_class_sd": std}
