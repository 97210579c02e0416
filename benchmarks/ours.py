"""Our side of the comparisons: a group of replicates of GIN, trained by the very loop of `nica_bench.training`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from nica_bench.flows import Flow
from nica_bench.registry import make_method
from nica_bench.seeds import Streams
from nica_bench.training import TorchMethod
from nica_bench.training.data import Batch, Batches, Shape, stack
from nica_bench.training.device import prepare
from nica_bench.training.loop import train
from nica_bench.training.noise import Noise
from nica_bench.training.schedules import Cosine

__all__ = ["Ours"]

Data = list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]


class Ours:
    """R replicates of a method on the CPU, ready to be trained some steps at a time.

    Args:
        data: for each replicate observations (N, D) and conditions (N,).
        conditions: K.
        batch: batch size.
        method: in the registry's words.
        compile: compile the loss, as `--compile` does.
    """

    def __init__(self, data: Data, conditions: int, batch: int, *, method: str = "gin", compile: bool = False) -> None:
        prepare("cpu")
        self.method = cast(TorchMethod, make_method(method))
        self.n_observed = data[0][0].shape[1]
        streams = [Streams.of_fit(r, 0) for r in range(len(data))]
        self.data = stack([x for x, _ in data], [u for _, u in data], conditions, "cpu")
        shape = Shape(len(data), self.n_observed, conditions, None)
        generators = [s.torch("initialisation") for s in streams]
        self.model: nn.Module = self.method.build(shape, generators, self.data[:, : self.n_observed])
        self.batches = Batches(self.data, batch, self.n_observed, streams, Noise(streams, "cpu", "training"))
        self._loss: Callable[[Batch], Tensor] = torch.compile(self.loss) if compile else self.loss

    @property
    def flow(self) -> Flow:
        """GIN's flow."""
        return cast(Flow, self.model.flow)

    def loss(self, batch: Batch) -> Tensor:
        """Loss of a batch, shape (R,), in nats."""
        return self.method.loss(self.model, batch)

    def steps(self, count: int) -> Callable[[], None]:
        """A call that takes the next `count` steps."""

        def run() -> None:
            train(
                self.model, self._loss, self.batches, Cosine(1e-3, count),
                validation=lambda: torch.empty(0), report=lambda progress: None,
            )  # fmt: skip

        return run
