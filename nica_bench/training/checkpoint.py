"""Checkpoints of a training: all that the steps behind it have left, so that it goes on bit for bit."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from nica_bench.errors import UsageError
from nica_bench.files.atomic import reason
from nica_bench.files.tensors import TensorFileError, read_tensors, write_tensors

__all__ = ["Checkpoint", "State"]

State = dict[str, Tensor]
"""Tensors by name; names of parts are joined with a dot."""

FORMAT = "1"


@dataclass
class Checkpoint:
    """One training's checkpoint on the disk.

    Args:
        path: of the file; every save replaces it, whole or not at all.
        seconds: between two saves.
        identity: what it belongs to (method, network, data, seeds): a checkpoint that says otherwise is refused.
        circumstances: where it was made (torch, device, threads): others may change the last bits, so they are noted.
    """

    path: Path
    seconds: float
    identity: Mapping[str, str]
    circumstances: Mapping[str, str]
    _saved: float = field(default_factory=time.monotonic)
    _began: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), time.process_time()))
    _earlier: tuple[float, float] = (0.0, 0.0)
    _failed: bool = False

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= self.seconds

    def load(self) -> State | None:
        """What was saved; None where nothing was, or where the file is damaged, which is noted as a warning.

        Raises:
            UsageError: if the file is the checkpoint of something else; it names the file, what was expected and found.
        """
        try:
            arrays, found = read_tensors(self.path)
        except FileNotFoundError:
            return None
        except TensorFileError as error:
            warnings.warn(f"training begins anew: {error}", stacklevel=2)
            return None
        for name, expected in {"nica-bench checkpoint": FORMAT, **self.identity}.items():
            if found.get(name) != expected:
                raise UsageError(
                    f"{self.path} is the checkpoint of something else: expected {name} {expected}, "
                    f"found {found.get(name, 'none')}; remove it to begin anew"
                )
        changed = [
            f"{name} {found.get(name)} is now {here}"
            for name, here in self.circumstances.items()
            if found.get(name) != here
        ]
        if changed:
            warnings.warn(f"last bits may differ after resuming: {', '.join(changed)}", stacklevel=2)
        self._earlier = float(found["wall_seconds"]), float(found["cpu_seconds"])
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def save(self, state: State) -> bool:
        """Write a state; whether it could be written. A full disk is a warning: the training is worth more."""
        now = time.monotonic(), time.process_time()
        spent = [e + n - b for e, n, b in zip(self._earlier, now, self._began, strict=True)]
        metadata = {
            "nica-bench checkpoint": FORMAT,
            **self.identity,
            **self.circumstances,
            "wall_seconds": f"{spent[0]:.3f}",
            "cpu_seconds": f"{spent[1]:.3f}",
        }
        self._saved = now[0]
        try:
            write_tensors(self.path, {name: t.detach().cpu().numpy() for name, t in state.items()}, metadata)
        except OSError as error:
            if not self._failed:
                warnings.warn(f"no checkpoint in {self.path}: {reason(error)}; training goes on", stacklevel=2)
            self._failed = True
            return False
        return True
