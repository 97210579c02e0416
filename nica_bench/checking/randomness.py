"""Detection of code that uses the global random generators."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

__all__ = ["GlobalRandomness"]


class GlobalRandomness:
    """The state of the global random generators, which all code of a process shares."""

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
        """Return the names of the generators whose state has changed."""
        return [name for name, state in _states().items() if self._before.get(name, state) != state]


def _states() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 (to see whether it is used)
    found: dict[str, Any] = {"random": random.getstate(), "numpy.random": (name, np.asarray(keys).tobytes(), *rest)}
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = torch.get_rng_state().numpy().tobytes()
    return found
