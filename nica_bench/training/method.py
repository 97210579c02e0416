"""The base of every method that trains with torch: give a model and a loss, and all replicates train at once.

torch is imported inside the functions, here and in the methods: listing methods must not pay for it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nica_bench.dataset import Floats, Integers, Observations
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.parameters import parameter
from nica_bench.seeds import Streams

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from nica_bench.training.data import Batch, Shape

__all__ = ["TorchMethod"]

CHUNK = 10_000
"""Points encoded at once: one size for all, so that codes don't depend on who asks."""


@dataclass(frozen=True)
class TorchMethod(Method):
    """A method whose replicates train as one batched model.

    An implementer must give `build`, `loss`, `encode` and `rankings`. Every parameter and buffer of the model has the
    replicate axis R first; activations are (R, features, batch).
    """

    replicated: ClassVar[bool] = True
    version: ClassVar[str] = "3"

    lr: float = parameter(1e-2, "learning rate at the start", above=0)
    steps: int = parameter(1_000, "optimiser steps of the cosine schedule", low=1)
    batch: int = parameter(1_000, "batch size", low=2)
    schedule: str = parameter("cosine", "cosine, or the paper's two phases to convergence", choices=("cosine", "paper"))
    clip: float = parameter(0.0, "most the norm of a gradient may be; 0 is no bound", low=0)

    @abstractmethod
    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """A model of R replicates on the CPU, each drawn from its own generator.

        Args:
            shape: sizes of the group.
            generators: one for each replicate.
            x: training observations, shape (R, D, N): for a standardisation, say.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch, shape (R,), in nats; a replicate's loss depends on its own numbers alone."""

    @abstractmethod
    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Codes (R, D', B) of observations (R, D, B) under conditions (R, K, B)."""

    @abstractmethod
    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """Rankings of the codes by name, shape (R, D') each, from validation data; the first is the importance."""

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit one dataset: a group of one."""
        return self.fit_group([observations], [streams], session)[0]

    def fit_group(self, group: Sequence[Observations], streams: Sequence[Streams], session: FitSession) -> list[Fitted]:
        """Fit all datasets of a group as one batched model.

        A group of one is padded to two: a batched product of a single matrix takes another kernel, whose last bits
        differ.
        """
        import torch

        from nica_bench.flows import parameter_count
        from nica_bench.training.data import Batch, Shape, batches, stack
        from nica_bench.training.device import prepare
        from nica_bench.training.loop import train
        from nica_bench.training.noise import Noise
        from nica_bench.training.schedules import make_schedule

        asked = len(group)
        if asked == 1:
            group, streams = [*group, *group], [*streams, *streams]
        device = session.device
        prepare(device)
        first = group[0]
        D, K = first.dimensions, first.conditions
        shape = Shape(len(group), D, K, first.latents, first.family)
        data = stack([o.train_x for o in group], [o.train_u for o in group], K, device)
        held_out = stack([o.validation_x for o in group], [o.validation_u for o in group], K, device)
        x, onehot = held_out[:, :D].contiguous(), held_out[:, D:].contiguous()
        model = self.build(shape, [s.torch("initialisation") for s in streams], data[:, :D].cpu()).to(device)
        size = min(self.batch, data.shape[-1])

        def loss(batch: Batch) -> Tensor:
            return self.loss(model, batch)

        def validation() -> Tensor:
            with torch.no_grad():
                return self.loss(model, Batch(x, onehot, Noise(streams, device, "validation")))

        schedule = make_schedule(self.schedule, self.lr, self.steps, data.shape[-1] // size, len(group))
        outcome = train(
            model,
            torch.compile(loss) if session.compile else loss,
            batches(data, size, D, streams, Noise(streams, device, "training")),
            schedule,
            clip=self.clip,
            validation=validation,
            report=session.report,
        )
        held_out_loss = validation().cpu()
        rankings = {name: r.detach().cpu().numpy() for name, r in self.rankings(model, x, onehot).items()}
        importance = next(iter(rankings.values()))
        return [
            Fitted(
                encode=_Encoder(self, model, r, K, device),
                importance=importance[r],
                rankings={name: values[r] for name, values in rankings.items()},
                heldout_loss=float(held_out_loss[r]) / D,
                training={
                    "steps": schedule.steps_of(r, len(outcome.losses)),
                    "parameters": parameter_count(model),
                    "batch": size,
                    "group": asked,
                },
                loss_curve=outcome.losses[: schedule.steps_of(r, len(outcome.losses)), r].numpy(),
                diverged=None if (at := outcome.diverged[r]) is None else f"the loss exploded at step {at}",
            )
            for r in range(asked)
        ]

    def bytes_per_replicate(self, observations: int, dimensions: int, conditions: int, latents: int) -> int:
        """Memory of one more replicate, in bytes: what a step saves for its gradients, doubled, and the data."""
        import torch

        from nica_bench.training.data import Batch, Shape
        from nica_bench.training.noise import Noise

        shape = Shape(2, dimensions, conditions, latents, "normal")
        generators = [torch.Generator().manual_seed(0) for _ in range(2)]
        model = self.build(shape, generators, torch.zeros(2, dimensions, 2)).to("meta")
        size = min(self.batch, observations)
        batch = Batch(
            torch.empty(2, dimensions, size, device="meta"),
            torch.empty(2, conditions, size, device="meta"),
            Noise([Streams(0), Streams(0)], "meta", "training"),
        )
        saved = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal saved
            saved += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            self.loss(model, batch)
        return saved + 4 * 4 * observations * (dimensions + conditions)


class _Encoder:
    """Encoding by one replicate, cut out of its group when it is first asked for and padded to two as in training."""

    def __init__(self, method: TorchMethod, model: nn.Module, replicate: int, conditions: int, device: str) -> None:
        self._method = method
        self._model = model
        self._replicate = replicate
        self._conditions = conditions
        self._device = device

    @cached_property
    def _cut(self) -> nn.Module:
        from nica_bench.flows import take

        return take(self._model, [self._replicate, self._replicate])

    def __call__(self, x: Floats, u: Integers | None) -> Floats:
        import torch

        from nica_bench.training.data import stack

        data = stack([x], [u], self._conditions, self._device).expand(2, -1, -1)
        D = x.shape[1]
        parts = []
        with torch.no_grad():
            for start in range(0, x.shape[0], CHUNK):
                part = data[..., start : start + CHUNK]
                codes = self._method.encode(self._cut, part[:, :D].contiguous(), part[:, D:].contiguous())
                parts.append(codes[0].T.cpu().numpy())
        return np.concatenate(parts)
