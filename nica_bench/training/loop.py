"""The training loop: one optimiser step serves all replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nica_bench.method import Progress
from nica_bench.training.data import Batch
from nica_bench.training.optimiser import FlatAdam
from nica_bench.training.schedules import Schedule

__all__ = ["Outcome", "train"]

LOOK_EVERY = 25
"""Steps between two looks at the losses: a look waits for the device."""
EXPLODED = 1_000.0
"""A replicate is given up when its loss stays this many nats above its first, from one look to the next."""


@dataclass(frozen=True)
class Outcome:
    """What training leaves beside the trained model.

    Args:
        losses: training loss of every step, shape (steps, R), in nats.
        diverged: for each replicate the step at which it was given up, or None.
    """

    losses: Tensor
    diverged: list[int | None]


def train(
    model: nn.Module,
    loss: Callable[[Batch], Tensor],
    data: Iterator[Batch],
    schedule: Schedule,
    *,
    clip: float = 0.0,
    validation: Callable[[], Tensor],
    report: Callable[[Progress], None],
) -> Outcome:
    """Train all replicates of a model in place.

    Losses are summed over replicates, so no gradient mixes two of them, and every operation treats a replicate's
    numbers alone: its outcome does not depend on the others. A replicate whose loss turns non-finite, or stays
    `EXPLODED` nats above its first, is frozen (its parameters are set to zero, so it costs no time and disturbs
    nobody) and reported; the others go on.

    Args:
        model: its parameters have the replicate axis first.
        loss: loss of a batch, shape (R,), in nats.
        data: batches without end.
        schedule: learning rates; may look at the validation loss.
        clip: most the norm of a replicate's gradient may be; 0 is no bound.
        validation: the loss on validation data, shape (R,), without gradient.
        report: takes the progress.
    """
    optimiser = FlatAdam([p for p in model.parameters() if p.requires_grad], schedule.lr(0))
    diverged: list[int | None] = [None] * optimiser.replicates
    losses: list[Tensor] = []
    looked = 0
    alive: Tensor | None = None
    every = schedule.evaluate_every()
    for step in range(schedule.steps):
        value = loss(replace(next(data), progress=step / schedule.steps))
        going = value if alive is None else torch.where(alive, value, 0.0)
        optimiser.step(going, schedule.lr(step), schedule.scale, clip)
        losses.append(value.detach())
        last = step + 1 == schedule.steps
        if every is not None and (step + 1) % every == 0:
            schedule.observe(validation())
            last = last or schedule.finished()
        if last or (step + 1) % LOOK_EVERY == 0:
            window = torch.stack(losses[looked:]).cpu()
            first = losses[0].cpu()
            # one batch with a point far out is no divergence: the steps after it mend what it did
            bad = ~torch.isfinite(window) | (window.amin(0) > first + EXPLODED)
            for r in bad.any(0).nonzero().flatten().tolist():
                if diverged[r] is None:
                    diverged[r] = looked + int(bad[:, r].nonzero()[0])
                optimiser.freeze(r)
            looked = len(losses)
            left = torch.tensor([at is None for at in diverged])
            alive = None if left.all() else left.to(value.device)
            shown = float(window[-1, left].mean()) if left.any() else None
            report(Progress(step + 1, schedule.steps, shown))
        if last:
            break
    return Outcome(torch.stack(losses).cpu(), diverged)
