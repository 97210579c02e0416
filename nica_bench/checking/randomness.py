"""Whether something used the random generators of the whole process."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

__all__ = ["GlobalRandomness"]


class GlobalRandomness:
    """The generators that all code of a process shares: whoever uses or seeds them changes the results of others."""

    def __init__(self) -> None:
        self._before = _states()

    def move(self) -> None:
        """Draw from each, so that seeding one of them to what it was is seen too, and compare with that."""
        random.random()
        np.random.random()  # noqa: NPY002
        if (torch := sys.modules.get("torch")) is not None:
            torch.rand(1)
        self._before = _states()

    def used(self) -> list[str]:
        """Names of those that are no more as they were."""
        return [name for name, state in _states().items() if self._before.get(name, state) != state]


def _states() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 (to see that nobody uses it)
    found: dict[str, Any] = {"random": random.getstate(), "numpy.random": (name, np.asarray(keys).tobytes(), *rest)}
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = torch.get_rng_state().numpy().tobytes()
    return found
