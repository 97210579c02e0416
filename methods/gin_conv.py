"""GIN for images (paper, section 4.3.2 and Table 3), and its compressible twin."""

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
"""Images that go through the flow at once where no gradient is needed: the maps of more would fill the memory."""
JACOBIAN_IMAGES = 8
"""Validation images over which the scale-free ranking takes its Jacobians."""
WATCHED_IMAGES = 2_000
"""Validation images from which the spectrum is taken during training."""
EPOCHS, LEAST_STEPS = 15, 400
"""The default training: this many epochs, but of a small dataset at least this many steps."""


@dataclass(frozen=True)
class ImageFlowMethod(TorchMethod):
    """A flow from images to codes that are normal given the class: what convolutional GIN and its twin share.

    The network is Table 3's for 1 x 28 x 28 images, and its like for others of even sides. The class moments are those
    of the batch (eq. 10 to 12). With 2.6 million parameters one fit fills a machine, so fits are made one by one.

    `schedule=paper` is the paper's training: 3e-4 for 45 epochs, then 3e-5 for 50. The default, one cosine from 1e-3
    over 15 epochs, gets there sooner.
    """

    side_information: ClassVar[str] = "u"
    replicated: ClassVar[bool] = False
    version: ClassVar[str] = "3"
    smallest_group: ClassVar[int] = 1
    large: ClassVar[bool] = True
    invertible: ClassVar[bool] = True
    coupling: ClassVar[Literal["gin", "realnvp"]]

    lr: float = parameter(0.0, "learning rate at the start; 0 is 1e-3, or 3e-4 with schedule=paper", low=0)
    steps: int = parameter(0, "optimiser steps of the cosine; 0 is 15 epochs, but at least 400 steps", low=0)
    batch: int = parameter(240, "batch size", low=2)
    schedule: str = parameter(
        "cosine", "cosine, or the paper's 45 epochs and 50 at a tenth of the rate", choices=("cosine", "paper")
    )
    augmentation: float = parameter(IMAGE_NOISE, "sd of the Gaussian noise added to x at each step", low=0)
    precision: str = parameter("float32", "of the products in the convolutions", choices=("float32", "bfloat16"))

    def skip(self, scenario: Scenario) -> str | None:
        """It makes sense where observations are images that can be taken apart."""
        if scenario.image_shape is None:
            return "its observations are no images"
        if scenario.image_shape[1] % 2 or scenario.image_shape[2] % 2:
            return f"its images have an odd side: {scenario.image_shape[1]} x {scenario.image_shape[2]}"
        return None

    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """The flow, starting as a permutation of the pixels."""
        from nica_bench.flows import ImageFlow

        assert shape.image_shape is not None, "skipped elsewhere"
        return ImageFlow(
            generators,
            shape.image_shape,
            coupling=self.coupling,
            precision=cast('Literal["float32", "bfloat16"]', self.precision),
        )

    def make_schedule(self, epoch: int, replicates: int) -> Schedule:
        """A cosine, or the paper's stages."""
        from nica_bench.training.schedules import Cosine, Stages

        if self.schedule == "paper":
            return Stages(self.lr or 3e-4, epoch)
        return Cosine(self.lr or 1e-3, self.steps or max(EPOCHS * epoch, LEAST_STEPS))

    def codes(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Codes w = g^{-1}(x), shape (R, D, B), and log|det dw/dx|, shape (R, B), or None where it is zero.

        Some images at a time where no gradient is asked for.
        """
        import torch

        if torch.is_grad_enabled():
            w, log_det = model(x)
        else:
            parts = [model(part.contiguous()) for part in x.split(CHUNK, -1)]
            w, log_det = (torch.cat(some, -1) for some in zip(*parts, strict=True))
        return w, None if model.volume_preserving else log_det

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Negative log-likelihood, shape (R,), in nats (eq. 10)."""
        from nica_bench.training.moments import gaussian_losses

        w, log_det = self.codes(model, batch.augmented(self.augmentation))
        loss = gaussian_losses(w, batch.onehot).sum(1)
        return loss if log_det is None else loss - log_det.mean(-1)

    def test_loss(self, model: nn.Module, batch: Batch, train: Batch) -> Tensor:
        """The same of test images, under the class moments of the training images' codes."""
        from nica_bench.training.moments import flow_loss_after

        return flow_loss_after(partial(self.codes, model), batch.x, batch.onehot, train.x, train.onehot)

    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Codes w = g^{-1}(x), shape (R, D, B)."""
        return self.codes(model, x)[0]

    def decode(self, model: nn.Module, codes: Tensor) -> Tensor:
        """Images g(w), shape (R, D, B)."""
        import torch

        parts: list[Tensor] = [model.inverse(part.contiguous()) for part in codes.split(CHUNK, -1)]  # type: ignore[operator]
        return torch.cat(parts, -1)

    def program(self, model: nn.Module) -> Program:
        """The flow's inverse."""
        from nica_bench.flows import inverse_program

        return inverse_program(model)

    def watch(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """The spectrum."""
        return {"spectrum": self.spectrum(model, x[..., :WATCHED_IMAGES], onehot[..., :WATCHED_IMAGES])}

    def spectrum(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Within-class sd of the codes of images with the noise of training, shape (R, D).

        The density is one of noisy images. Without noise, codes of pixels that never change drop to zero, and a rule
        that looks for a knee finds the edge of the digits.
        """
        import torch

        from nica_bench.training.data import Batch
        from nica_bench.training.moments import within_class_sd
        from nica_bench.training.noise import Noise

        noise = Noise([Streams(0)] * len(x), x.device.type, "spectrum")
        with torch.no_grad():
            return within_class_sd(self.codes(model, Batch(x, onehot, noise).augmented(self.augmentation))[0], onehot)

    def effect(self, model: nn.Module, x: Tensor) -> Tensor:
        """||dx / dw_j||, how far a unit of a code moves the image, as a root mean square over images, shape (R, D)."""
        import torch

        images = range(min(JACOBIAN_IMAGES, x.shape[-1]))
        return torch.stack([self._inverse_jacobian(model, x[..., i]).pow(2).sum(1) for i in images]).mean(0).sqrt()

    def _inverse_jacobian(self, model: nn.Module, image: Tensor) -> Tensor:
        """dx / dw at an image (R, D), shape (R, D, D), by one gradient for each code, all of them at once."""
        import torch

        copies = image[..., None].repeat(1, 1, image.shape[-1]).requires_grad_()
        w, _ = self.codes(model, copies)
        (rows,) = torch.autograd.grad(torch.diagonal(w, dim1=1, dim2=2).sum(), copies)
        return torch.linalg.inv_ex(rows.mT)[0]


@dataclass(frozen=True)
class ConvGIN(ImageFlowMethod):
    """General incompressible-flow network for images: 8 convolutional and 2 dense volume-preserving couplings.

    Volume preservation makes a code's standard deviation its importance: the root mean square over classes of the
    within-class one.
    """

    name: ClassVar[str] = "gin-conv"
    coupling = "gin"

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """The spectrum, and the scale-free ranking that `glow-conv` has, shape (R, D) each."""
        sd = self.spectrum(model, x, onehot)
        return {"within_class_sd": sd, "effect": sd * self.effect(model, x)}


@dataclass(frozen=True)
class ConvGlow(ImageFlowMethod):
    """The compressible twin of `gin-conv`: affine couplings, the same networks, and the log-determinant in the loss.

    Nothing ties a code's scale to its importance here, so its own ranking is the scale-free one.
    """

    name: ClassVar[str] = "glow-conv"
    coupling = "realnvp"

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """How far one standard deviation of a code moves the image, and the spectrum, shape (R, D) each."""
        sd = self.spectrum(model, x, onehot)
        return {"effect": sd * self.effect(model, x), "within_class_sd": sd}
