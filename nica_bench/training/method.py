"""The base of every method that trains with torch: give a model and a loss, and all replicates train at once.

torch is imported inside the functions, here and in the methods: listing methods must not pay for it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Observations
from nica_bench.errors import UsageError
from nica_bench.method import Codec, FitSession, Fitted, Method
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams
from nica_bench.training.fitted import FittedModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from nica_bench.program import Program
    from nica_bench.training.checkpoint import Checkpoint
    from nica_bench.training.data import Batch, Shape
    from nica_bench.training.schedules import Schedule

__all__ = ["TorchMethod"]

WORTH_THREADS = 100_000
"""Numbers in a batch from which on a large method's operations are spread over threads: 240 images of 28 x 28 are
188,160. Below, threads wait for each other longer than they work."""


@dataclass(frozen=True)
class TorchMethod(Method):
    """A method whose replicates train as one batched model.

    An implementer must give `build`, `loss`, `encode` and `rankings`. Every parameter and buffer of the model has the
    replicate axis R first; activations are (R, features, batch).
    """

    replicated: ClassVar[bool] = True
    version: ClassVar[str] = "3"
    smallest_group: ClassVar[int] = 2
    """A smaller group is padded to this many: a batched product of a single matrix takes another kernel, whose last
    bits differ."""
    invertible: ClassVar[bool] = False
    """It has `decode`."""

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

    def test_loss(self, model: nn.Module, batch: Batch, train: Batch) -> Tensor:
        """Loss of data that was not trained on, shape (R,), in nats.

        A loss that estimates something from its own batch takes it from the training data here.

        Args:
            model: that was trained.
            batch: the data; its noise adds nothing to them, nor does that of `train`.
            train: some of the training data.
        """
        return self.loss(model, batch)

    @abstractmethod
    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Codes (R, D', B) of observations (R, D, B) under conditions (R, K, B)."""

    @abstractmethod
    def rankings(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """Rankings of the codes by name, shape (R, D') each, from validation data; the first is the importance."""

    def decode(self, model: nn.Module, codes: Tensor) -> Tensor:
        """Observations (R, D, B) of codes (R, D', B); asked only of a method that is `invertible`."""
        raise NotImplementedError

    def program(self, model: nn.Module) -> Program:
        """`decode` of the first replicate as plain operations. Raises UsageError where it has no such form."""
        raise UsageError(f"the decoder of {self.label} is not known as plain operations")

    def watch(self, model: nn.Module, x: Tensor, onehot: Tensor) -> dict[str, Tensor]:
        """What is followed over the training by name, shape (R, ...), from validation data as in `rankings`."""
        return {}

    def make_schedule(self, epoch: int, replicates: int) -> Schedule:
        """Learning rates of a training whose epochs have `epoch` steps."""
        from nica_bench.training.schedules import make_schedule

        return make_schedule(self.schedule, self.lr, self.steps, epoch, replicates)

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit one dataset: a group of one."""
        return self.fit_group([observations], [streams], session)[0]

    def fit_group(self, group: Sequence[Observations], streams: Sequence[Streams], session: FitSession) -> list[Fitted]:
        """Fit all datasets of a group as one batched model, padded to `smallest_group`.

        Raises:
            Interrupted: when the session asks for it.
            UsageError: if the session's checkpoint is that of something else.
        """
        import torch

        from nica_bench.flows import parameter_count
        from nica_bench.training.data import Batch, Batches, RowBatches, Shape, stack
        from nica_bench.training.device import prepare
        from nica_bench.training.loop import train
        from nica_bench.training.noise import Noise

        asked = len(group)
        while len(group) < self.smallest_group:
            group, streams = [*group, group[0]], [*streams, streams[0]]
        device = session.device
        first = group[0]
        D, K = first.n_observed, first.conditions
        shape = Shape(len(group), D, K, first.n_latents, first.family, first.image_shape)
        points = len(first.train_x)
        size = min(self.batch, points)
        prepare(device, session.threads if self.large and size * D >= WORTH_THREADS else 1)
        noise = Noise(streams, device, "training")
        xs, us = [o.train_x for o in group], [o.train_u for o in group]
        data: Batches
        if self.large:
            data, x = RowBatches(xs, us, K, size, streams, noise, device), torch.empty(len(group), D, 0)
        else:
            stacked = stack(xs, us, K, device)
            data, x = Batches(stacked, size, D, streams, noise), stacked[:, :D].cpu()
        model = self.build(shape, [s.torch("initialisation") for s in streams], x).to(device)
        held_out = stack([o.validation_x for o in group], [o.validation_u for o in group], K, device)
        x, onehot = held_out[:, :D].contiguous(), held_out[:, D:].contiguous()

        def loss(batch: Batch) -> Tensor:
            return self.loss(model, batch)

        def validation() -> Tensor:
            with torch.no_grad():
                return self.loss(model, Batch(x, onehot, Noise(streams, device, "validation")))

        schedule = self.make_schedule(points // size, len(group))
        outcome = train(
            model,
            torch.compile(loss) if session.compile else loss,
            data,
            schedule,
            clip=self.clip,
            validation=validation,
            report=session.report,
            watch=lambda: self.watch(model, x, onehot),
            checkpoint=self._checkpoint(session, model, shape, points, streams),
            interrupted=session.interrupted,
        )
        held_out_loss = validation().cpu()
        rankings = {name: r.detach().cpu().numpy() for name, r in self.rankings(model, x, onehot).items()}
        importance = next(iter(rankings.values()))
        return [
            Fitted(
                encode=(fitted := FittedModel(self, model, r, K, device, group[r])).encode,
                importance=importance[r],
                rankings={name: values[r] for name, values in rankings.items()},
                heldout_loss=float(held_out_loss[r]) / D,
                loss=fitted.loss,
                training={
                    "steps": schedule.steps_of(r, len(outcome.losses)),
                    "parameters": parameter_count(model),
                    "batch": size,
                    "group": asked,
                },
                loss_curve=outcome.losses[: schedule.steps_of(r, len(outcome.losses)), r].numpy(),
                diverged=None if (at := outcome.diverged[r]) is None else f"the loss exploded at step {at}",
                decode=fitted.decode if self.invertible else None,
                weights=fitted.weights(),
                history={n: (v if n == "step" else v[:, r]).numpy() for n, v in outcome.history.items()},
            )
            for r in range(asked)
        ]

    def _checkpoint(
        self, session: FitSession, model: nn.Module, shape: Shape, points: int, streams: Sequence[Streams]
    ) -> Checkpoint | None:
        """The session's checkpoint file, and what it has to belong to."""
        if session.checkpoint is None:
            return None
        import torch

        from nica_bench.training.checkpoint import Checkpoint

        parameters = [tuple(p.shape) for p in model.parameters()]
        identity = {
            "method": f"{self.label} version {self.version}",
            "network": f"{sum(math.prod(p) for p in parameters)} numbers in {parameters}",
            "data": f"{shape} of {points} points",
            "seeds": ",".join(str(s.seed) for s in streams),
        }
        here = {"torch": torch.__version__, "device": session.device, "threads": str(torch.get_num_threads())}
        return Checkpoint(session.checkpoint, session.checkpoint_seconds, identity, here)

    def restore(self, weights: Mapping[str, NDArray[Any]], scenario: Scenario) -> Codec:
        """Rebuild a fit from its weights, with no training.

        Raises:
            UsageError: if they are those of another network; it names the array, what was expected and found.
        """
        import torch

        from nica_bench.training.data import Shape
        from nica_bench.training.device import prepare

        prepare("cpu")
        R, K = self.smallest_group, scenario.conditions if "u" in self.side_information else 1
        told = scenario.stand_in_latents if "n" in self.side_information else None
        family = scenario.distribution_name if "f" in self.side_information else None
        shape = Shape(R, scenario.n_observed, K, told, family, scenario.image_shape)
        streams = [Streams(0)] * R
        model = self.build(shape, [s.torch("initialisation") for s in streams], _placeholder(R, scenario.n_observed))
        state = model.state_dict()
        for name in [*state, *(set(weights) - set(state))]:
            wanted = tuple(state[name].shape[1:]) if name in state else None
            found = np.shape(weights[name]) if name in weights else None
            if wanted != found:
                raise UsageError(
                    f"weights of another network than {self.label} on {scenario.label}: array '{name}' expected "
                    f"{wanted or 'not at all'}, found {'missing' if found is None else found}"
                )
        copies = {name: torch.from_numpy(np.stack([weights[name]] * R)) for name in state}
        model.load_state_dict(copies)
        fitted = FittedModel(self, model, 0, K, "cpu")
        return Codec(fitted.encode, fitted.decode if self.invertible else None, lambda: self.program(model))

    def bytes_per_replicate(self, observations: int, n_observed: int, conditions: int, n_latents: int) -> int:
        """Memory of one more replicate, in bytes: what a step saves for its gradients, doubled, and the data."""
        import torch

        from nica_bench.training.data import Batch, Shape
        from nica_bench.training.noise import Noise

        shape = Shape(2, n_observed, conditions, n_latents, "normal")
        generators = [torch.Generator().manual_seed(0) for _ in range(2)]
        model = self.build(shape, generators, torch.zeros(2, n_observed, 2)).to("meta")
        size = min(self.batch, observations)
        batch = Batch(
            torch.empty(2, n_observed, size, device="meta"),
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
        return saved + 4 * 4 * observations * (n_observed + conditions)


def _placeholder(replicates: int, n_observed: int) -> Tensor:
    """Observations for a model whose numbers are replaced at once: full rank, so that any start can be made of them."""
    import torch

    return torch.eye(n_observed).repeat(replicates, 1, 2) + torch.arange(n_observed)[:, None] / n_observed
