"""Learning-rate schedules: a cosine by default, the paper's two phases to convergence, and its stages for images."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

__all__ = ["Cosine", "Schedule", "Stages", "TwoPhase", "make_schedule"]


class Schedule(ABC):
    """A learning rate for every step and, where replicates differ, a factor for each of them."""

    steps: int
    """Most steps it can take."""

    @abstractmethod
    def lr(self, step: int) -> float:
        """Learning rate of a step, the same for all replicates."""

    scale: Tensor | None = None
    """Factor on every replicate's update, shape (R,): 0 where it has stopped; None where it is 1 throughout."""

    def evaluate_every(self) -> int | None:
        """Steps between two looks at the validation loss, or None where the schedule does not look."""
        return None

    def observe(self, loss: Tensor) -> None:  # noqa: B027 a schedule may look, and need not
        """Take a validation loss, shape (R,), and change `scale` where it calls for it."""

    def finished(self) -> bool:
        """Whether every replicate has stopped."""
        return False

    def steps_of(self, replicate: int, taken: int) -> int:
        """How many of the steps that the group took were a replicate's own."""
        return taken

    def state(self) -> dict[str, Tensor]:
        """What it has learned from what it observed."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a state."""
        for name, value in state.items():
            setattr(self, name, value)


class Cosine(Schedule):
    """From `lr` to 0 along half a cosine over `steps` steps."""

    def __init__(self, lr: float, steps: int) -> None:
        self.start = lr
        self.steps = steps

    def lr(self, step: int) -> float:
        """Learning rate of a step."""
        return self.start * 0.5 * (1 + math.cos(math.pi * step / self.steps))


class Stages(Schedule):
    """Constant learning rates, each for some epochs: of the paper's images, 3e-4 for 45 and 3e-5 for 50.

    Args:
        lr: the first stage's.
        epoch: steps an epoch.
    """

    stages = ((1.0, 45), (0.1, 50))
    """Factor on the learning rate, and epochs (Sorrenson et al. 2020, section 4.3.2)."""

    def __init__(self, lr: float, epoch: int) -> None:
        self.start = lr
        self._ends = [epoch * sum(length for _, length in self.stages[: i + 1]) for i in range(len(self.stages))]
        self.steps = self._ends[-1]

    def lr(self, step: int) -> float:
        """Learning rate of a step."""
        return self.start * next(f for (f, _), end in zip(self.stages, self._ends, strict=True) if step < end)


class TwoPhase(Schedule):
    """The paper's schedule: `lr` to convergence, then a tenth of it to convergence (section 4.3.1).

    Convergence means: the validation loss, looked at once an epoch, has not fallen more than `tolerance` nats below
    its lowest value so far for `patience` epochs in a row. Each replicate has phases of its own. A phase ends after
    `longest` epochs at the latest.

    Args:
        lr: learning rate of the first phase; the paper has 1e-2.
        epoch: steps an epoch.
        replicates: R.
    """

    patience = 10
    tolerance = 0.01
    longest = 100

    def __init__(self, lr: float, epoch: int, replicates: int) -> None:
        self.start = lr
        self.epoch = epoch
        self.steps = 2 * self.longest * epoch
        self.scale: Tensor = torch.ones(replicates)
        self._lowest = torch.full((replicates,), math.inf)
        self._waited = torch.zeros(replicates)
        self._lasted = torch.zeros(replicates)
        self._epochs = torch.zeros(replicates, dtype=torch.int64)

    def lr(self, step: int) -> float:
        """Learning rate of the first phase; `scale` makes the second."""
        return self.start

    def evaluate_every(self) -> int:
        """Once an epoch."""
        return self.epoch

    def observe(self, loss: Tensor) -> None:
        """Move the replicates that have converged to their next phase, or stop them."""
        loss = loss.cpu()
        self._epochs += self.scale > 0
        better = loss < self._lowest - self.tolerance
        self._lowest = torch.where(better, loss, self._lowest)
        self._waited = torch.where(better, 0.0, self._waited + 1)
        self._lasted += 1
        # a loss that is not finite never gets better, so a diverged replicate stops too
        over = (self._waited >= self.patience) | (self._lasted >= self.longest)
        self.scale = torch.where(over, torch.where(self.scale == 1, 0.1, 0.0), self.scale)
        self._waited[over] = 0
        self._lasted[over] = 0

    def finished(self) -> bool:
        """Whether every replicate has been through both phases."""
        return not bool(self.scale.any())

    def steps_of(self, replicate: int, taken: int) -> int:
        """A replicate takes whole epochs, until its second phase ends."""
        return min(taken, int(self._epochs[replicate]) * self.epoch)

    def state(self) -> dict[str, Tensor]:
        """Phases and lowest losses of the replicates."""
        return {name: getattr(self, name) for name in ("scale", "_lowest", "_waited", "_lasted", "_epochs")}


def make_schedule(name: str, lr: float, steps: int, epoch: int, replicates: int) -> Schedule:
    """A schedule by name: cosine or paper."""
    return Cosine(lr, steps) if name == "cosine" else TwoPhase(lr, epoch, replicates)
