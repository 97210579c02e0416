"""The training loop: one optimiser step serves all replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nica_bench.method import Progress
from nica_bench.training.data import Batch
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
        validation: the loss on validation data, shape (R,), without gradient.
        report: takes the progress.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    # the CPU's fused Adam rounds the last elements of a tensor otherwise than the rest, so a replicate's bits would
    # depend on its place in the group; the foreach one treats all alike
    fused = parameters[0].device.type == "cuda"
    optimiser = torch.optim.Adam(parameters, lr=schedule.lr(0), fused=fused, foreach=not fused)
    replicates = parameters[0].shape[0]
    diverged: list[int | None] = [None] * replicates
    losses: list[Tensor] = []
    looked = 0
    alive: Tensor | None = None
    every = schedule.evaluate_every()
    for step in range(schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr(step)
        value = loss(next(data))
        optimiser.zero_grad()
        total = value if alive is None else torch.where(alive, value, 0.0)
        total.sum().backward()  # type: ignore[no-untyped-call]
        if schedule.scale is None:
            optimiser.step()
        else:
            _scaled_step(optimiser, parameters, schedule.scale)
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
                _freeze(optimiser, parameters, r)
            looked = len(losses)
            going = torch.tensor([at is None for at in diverged])
            alive = None if going.all() else going.to(value.device)
            shown = float(window[-1, going].mean()) if going.any() else None
            report(Progress(step + 1, schedule.steps, shown))
        if last:
            break
    return Outcome(torch.stack(losses).cpu(), diverged)


def _freeze(optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter], replicate: int) -> None:
    """Set a replicate's parameters and the optimiser's moments of them to zero: with no gradient they stay there."""
    with torch.no_grad():
        for p in parameters:
            for tensor in (p, *optimiser.state[p].values()):
                if tensor.shape == p.shape:
                    tensor[replicate] = 0


def _scaled_step(optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter], scale: Tensor) -> None:
    """One step with an update of its own size for each replicate; exact where the factor is 1 or 0."""
    before = [p.detach().clone() for p in parameters]
    optimiser.step()
    with torch.no_grad():
        for p, old in zip(parameters, before, strict=True):
            factor = scale.to(p).view(-1, *[1] * (p.ndim - 1))
            p.copy_(torch.where(factor == 0, old, torch.lerp(old, p, factor)))
