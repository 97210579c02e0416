"""One replicate of a trained group, as a model of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Floats, Integers, Observations, spread_rows, with_image_noise
from nica_bench.seeds import Streams

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nica_bench.training.data import Batch

__all__ = ["FittedModel"]

CHUNK = 10_000
"""Points encoded at once: one size for all, so that codes don't depend on who asks."""
MOMENTS_OF = 10_000
"""Most training points whose codes' class moments a density of test points is made with."""


class Trainer(Protocol):
    """What a fitted model needs of the method that trained it: a part of `nica_bench.training.TorchMethod`."""

    @property
    def smallest_group(self) -> int:
        """Replicates to which a smaller group is padded."""

    def test_loss(self, model: nn.Module, batch: Batch, train: Batch) -> Tensor:
        """Loss of data that was not trained on, shape (R,)."""

    def encode(self, model: nn.Module, x: Tensor, onehot: Tensor) -> Tensor:
        """Codes (R, D', B) of observations (R, D, B) under conditions (R, K, B)."""

    def decode(self, model: nn.Module, codes: Tensor) -> Tensor:
        """Observations (R, D, B) of codes (R, D', B)."""


class FittedModel:
    """One replicate, cut out of its group when it is first needed and padded as in training.

    Args:
        method: that trained it.
        model: of R replicates.
        replicate: which of them.
        conditions: K.
        device: where the model is.
        train: what it was trained on, where that is known.
    """

    def __init__(
        self,
        method: Trainer,
        model: nn.Module,
        replicate: int,
        conditions: int,
        device: str,
        train: Observations | None = None,
    ) -> None:
        self._method = method
        self._model = model
        self._replicate = replicate
        self._conditions = conditions
        self._device = device
        self._train = train

    @cached_property
    def _cut(self) -> nn.Module:
        from nica_bench.flows import take

        return take(self._model, [self._replicate] * self._method.smallest_group)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Parameters and buffers by name, without the replicate axis."""
        state = self._model.state_dict()
        return {name: tensor[self._replicate].detach().cpu().numpy().copy() for name, tensor in state.items()}

    def loss(self, x: Floats, u: Integers | None) -> float:
        """Args: as of `encode`. Returns: nats a dimension of all of them at once, with no noise added."""
        import torch

        with torch.no_grad():
            losses: Tensor = self._method.test_loss(self._cut, self._batch(x, u), self._batch(*self._training_points()))
        return losses[0].item() / int(x.shape[1])

    def _training_points(self) -> tuple[Floats, Integers | None]:
        """Some training observations and their conditions, with the noise of images that are scored."""
        assert self._train is not None, "a fit that is rebuilt from its weights has no loss"
        x, u = self._train.train_x, self._train.train_u
        rows = spread_rows(len(x), MOMENTS_OF)
        few = x[rows]
        if self._train.image_shape is not None:
            few = with_image_noise(few, Streams(0).numpy("class moments"))
        return few, None if u is None else u[rows]

    def _batch(self, x: Floats, u: Integers | None) -> Batch:
        """The same points, as they are, for each replicate."""
        from nica_bench.training.data import Batch, stack
        from nica_bench.training.noise import Noise

        R, D = self._method.smallest_group, x.shape[1]
        data = stack([x], [u], self._conditions, self._device).expand(R, -1, -1)
        noise = Noise([Streams(0)] * R, self._device, "test").without("augmentation")
        return Batch(data[:, :D].contiguous(), data[:, D:].contiguous(), noise)

    def encode(self, x: Floats, u: Integers | None) -> Floats:
        """Args: x, shape (N, D); u, shape (N,), or None. Returns: codes, shape (N, D')."""
        from nica_bench.training.data import stack

        D = x.shape[1]

        def codes(start: int, end: int) -> Tensor:
            part = stack([x[start:end]], [None if u is None else u[start:end]], self._conditions, self._device)
            part = part.expand(self._method.smallest_group, -1, -1)
            return self._method.encode(self._cut, part[:, :D].contiguous(), part[:, D:].contiguous())

        return self._in_chunks(codes, len(x))

    def decode(self, codes: Floats) -> Floats:
        """Args: codes, shape (N, D'). Returns: observations, shape (N, D)."""
        import torch

        def observations(start: int, end: int) -> Tensor:
            part = torch.from_numpy(np.ascontiguousarray(codes[start:end].T, np.float32)).to(self._device)
            return self._method.decode(self._cut, part.expand(self._method.smallest_group, -1, -1).contiguous())

        return self._in_chunks(observations, len(codes))

    def _in_chunks(self, call: Callable[[int, int], Tensor], points: int) -> Floats:
        """What a call gives for points start to end, shape (R, D', B), of the first replicate, for all points."""
        import torch

        with torch.no_grad():
            ends = [(start, min(start + CHUNK, points)) for start in range(0, max(points, 1), CHUNK)]
            return np.concatenate([call(start, end)[0].T.cpu().numpy() for start, end in ends])
