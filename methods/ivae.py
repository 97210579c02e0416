"""iVAE: a variational autoencoder with a conditional prior (Khemakhem et al., 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nica_bench.parameters import parameter
from nica_bench.training import TorchMethod

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from nica_bench.training.data import Batch, Shape

__all__ = ["IVAE"]

LOG_VARIANCE_BOUND = 12.0
"""Log-variances are kept within +- this bound: they stay finite in float32 and bind nowhere that matters."""


@dataclass(frozen=True)
class IVAE(TorchMethod):
    """Identifiable variational autoencoder: encoder q(z|x,u), decoder p(x|z), prior p(z|u) with learnable moments.

    Told the number of latents; scored on the posterior mean. Mean and variance of the prior are free parameters of
    every condition (the published code fixes the mean at zero, which is of no use where conditions shift means), x is
    standardised with the training data's moments, and the decoder has a learned noise level for each dimension.

    Settings were compared by the validation loss alone, on datasets 200 to 204 with 5 conditions (nats a dimension,
    mean): lr 1e-2 with batch 300 and 5,000 steps -1.753 (kept); batch 1,000 and 2,000 steps -1.708; lr 3e-3 -1.551;
    lr 1e-3 and 3,000 steps -.839.
    """

    name: ClassVar[str] = "ivae"
    uses_conditions: ClassVar[bool] = True
    knows_dimension: ClassVar[bool] = True

    lr: float = parameter(1e-2, "learning rate at the start", above=0)
    steps: int = parameter(5_000, "optimiser steps of the cosine schedule", low=1)
    batch: int = parameter(300, "batch size", low=2)
    width: int = parameter(64, "width of the two hidden layers of encoder and decoder", low=1)

    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """Encoder, decoder, the prior's moments, the decoder's noise and the standardisation."""
        import torch
        from torch import nn

        from nica_bench.flows import MLP

        assert shape.latents is not None, "the engine tells n to a method that knows_dimension"
        R, D, K, n = shape.replicates, shape.dimensions, shape.conditions, shape.latents
        model = nn.Module()
        model.encoder = MLP(generators, [D + K, self.width, self.width, 2 * n])
        model.decoder = MLP(generators, [n, self.width, self.width, D])
        means = torch.stack([torch.randn(n, K, generator=g) for g in generators])
        model.register_parameter("prior_mean", nn.Parameter(means))
        model.register_parameter("prior_log_variance", nn.Parameter(torch.zeros(R, n, K)))
        model.register_parameter("log_noise", nn.Parameter(torch.zeros(R, D, 1)))
        model.register_buffer("centre", x.mean(-1, keepdim=True))
        model.register_buffer("scale", x.std(-1, keepdim=True).clamp_min(1e-8))
        return model

    def _posterior(self, model: nn.Module, x: Tensor, onehot: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Standardised x (R, D, B), and mean and log-variance of q(z|x,u), shape (R, n, B) each."""
        import torch

        standard = (x - model.centre) / model.scale
        mean, log_variance = model.encoder(torch.cat([standard, onehot], 1)).chunk(2, 1)
        return standard, mean, log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Negative evidence lower bound of x, shape (R,), in nats; the divergence from the prior in closed form."""
        import torch

        standard, mean, log_variance = self._posterior(model, batch.x, batch.onehot)
        z = mean + torch.exp(0.5 * log_variance) * batch.normal("posterior", mean.shape[1])
        residual = standard - model.decoder(z)
        log_noise = model.log_noise.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)
        energy = 0.5 * (residual * residual).mean(-1, keepdim=True) * torch.exp(-2 * log_noise)
        misfit = (energy + log_noise + model.scale.log() + 0.5 * math.log(2 * math.pi)).sum((1, 2))
        prior_mean = torch.bmm(model.prior_mean, batch.onehot)
        prior = torch.bmm(model.prior_log_variance, batch.onehot).clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)
        ratio = torch.exp(log_variance - prior) + (mean - prior_mean) ** 2 * torch.exp(-prior)
        return misfit + 0.5 * (ratio - 1 + prior - log_variance).mean(-1).sum(1)

    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Posterior mean, shape (R, n, B)."""
        return self._posterior(model, x, onehot)[1]

    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """How far the posterior means spread, in posterior sds, shape (R, n): about 0 for a code that collapsed."""
        import torch

        with torch.no_grad():
            _, mean, log_variance = self._posterior(model, x, onehot)
            spread = mean.std(-1) / torch.exp(0.5 * log_variance).mean(-1)
        return {"signal_to_noise": spread}
