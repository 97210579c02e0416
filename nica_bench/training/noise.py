"""Standard normal noise from a stream of each replicate's own, drawn some steps ahead."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nica_bench.seeds import Streams

__all__ = ["Noise", "generator_states", "set_generators"]

AHEAD = 8
"""Steps drawn at once: enough to make a draw for each replicate cheap, little enough to stay in cache."""


def generator_states(generators: Sequence[torch.Generator]) -> Tensor:
    """States of generators as a tensor of bytes, a row each."""
    return torch.stack([g.get_state() for g in generators])


def set_generators(generators: Sequence[torch.Generator], states: Tensor) -> None:
    """Put generators into the states that `generator_states` gave."""
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state.clone())


class Noise:
    """Normal numbers by name, the same for a replicate whichever others are in the group.

    Args:
        streams: one for each replicate.
        device: where the numbers are drawn.
        axis: prefix of the streams' axes: "augmentation" and "latent" noise under "training" and "validation" differ.
    """

    def __init__(self, streams: Sequence[Streams], device: str, axis: str) -> None:
        self._streams = streams
        self._device = device
        self._axis = axis
        self._generators: dict[str, list[torch.Generator]] = {}
        self._drawn: dict[str, tuple[Tensor, int]] = {}
        self._before: dict[str, Tensor] = {}  # states of the generators before the block that is in use was drawn
        self._resumed: dict[str, int] = {}

    # drawing changes the stream's state at every call: compiled, it would be compiled again and again
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def normal(self, name: str, features: int, batch: int) -> Tensor:
        """The next numbers of a name, shape (R, features, batch); a name keeps its shape."""
        if self._device == "meta":
            return torch.empty(len(self._streams), features, batch, device="meta")
        if name not in self._generators:
            axis = f"{self._axis} {name}"
            self._generators[name] = [s.torch(axis, self._device) for s in self._streams]
        block, used = self._drawn.get(name, (None, AHEAD))
        if block is None or used == AHEAD:
            self._before[name] = generator_states(self._generators[name])
            block = torch.empty(len(self._streams), AHEAD, features, batch, device=self._device)
            for generator, own in zip(self._generators[name], block, strict=True):
                own.normal_(generator=generator)
            used = self._resumed.pop(name, 0)
        self._drawn[name] = (block, used + 1)
        return block[:, used]

    def without(self, name: str) -> Noise:
        """The same streams, but zeros by one name."""
        return _Silenced(self._streams, self._device, self._axis, name)

    def state(self) -> dict[str, Tensor]:
        """Where the streams are."""
        state: dict[str, Tensor] = {}
        for name, (_, used) in self._drawn.items():
            state |= {f"{name}.generators": self._before[name], f"{name}.used": torch.tensor(used)}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from where the streams were; the numbers that were drawn ahead are drawn again when first used."""
        for key in state:
            name, _, what = key.rpartition(".")
            if what == "generators":
                self._generators[name] = [s.torch(f"{self._axis} {name}", self._device) for s in self._streams]
                set_generators(self._generators[name], state[key])
                self._drawn.pop(name, None)
                self._resumed[name] = int(state[f"{name}.used"])


class _Silenced(Noise):
    """Noise that is zero by one name."""

    def __init__(self, streams: Sequence[Streams], device: str, axis: str, silent: str) -> None:
        super().__init__(streams, device, axis)
        self._silent = silent

    def normal(self, name: str, features: int, batch: int) -> Tensor:
        if name == self._silent:
            return torch.zeros(len(self._streams), features, batch, device=self._device)
        drawn: Tensor = super().normal(name, features, batch)
        return drawn
