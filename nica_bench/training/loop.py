"""The training loop: one optimiser step serves all replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from nica_bench.method import Interrupted, Progress
from nica_bench.training.checkpoint import Checkpoint, State
from nica_bench.training.data import Batch, Batches
from nica_bench.training.optimiser import FlatAdam
from nica_bench.training.schedules import Schedule

__all__ = ["Outcome", "train"]

LOOK_EVERY = 25
"""Steps between two looks at the losses: a look waits for the device."""
EXPLODED = 1_000.0
"""A replicate is given up when its loss stays this many nats above its first, from one look to the next."""
WATCHED = 20
"""Points in the training at which what is watched is taken, the last one at its end."""


@dataclass(frozen=True)
class Outcome:
    """What training leaves beside the trained model.

    Args:
        losses: training loss of every step, shape (steps, R), in nats.
        diverged: for each replicate the step at which it was given up, or None.
        history: what was watched by name, shape (T, R, ...), and `step`, shape (T,), the steps done at each point.
    """

    losses: Tensor
    diverged: list[int | None]
    history: Mapping[str, Tensor] = field(default_factory=dict)


def train(
    model: nn.Module,
    loss: Callable[[Batch], Tensor],
    data: Iterable[Batch],
    schedule: Schedule,
    *,
    clip: float = 0.0,
    validation: Callable[[], Tensor],
    report: Callable[[Progress], None],
    watch: Callable[[], Mapping[str, Tensor]] = dict,
    checkpoint: Checkpoint | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train all replicates of a model in place.

    Losses are summed over replicates, so no gradient mixes two of them, and every operation treats a replicate's
    numbers alone: its outcome does not depend on the others. A replicate whose loss turns non-finite, or stays
    `EXPLODED` nats above its first, is frozen (its parameters are set to zero, so it costs no time and disturbs
    nobody) and reported; the others go on.

    Args:
        model: its parameters have the replicate axis first.
        loss: loss of a batch, shape (R,), in nats.
        data: batches without end; `Batches` where there is a checkpoint.
        schedule: learning rates; may look at the validation loss.
        clip: most the norm of a replicate's gradient may be; 0 is no bound.
        validation: the loss on validation data, shape (R,), without gradient.
        report: takes the progress.
        watch: what is to be followed over the training by name, shape (R, ...), without gradient.
        checkpoint: where the training is saved now and then, and from where it goes on.
        interrupted: asked before every step whether to save and stop.

    Raises:
        Interrupted: when asked to stop.
        UsageError: if the checkpoint is that of something else.
    """
    run = _Run(FlatAdam([p for p in model.parameters() if p.requires_grad], schedule.lr(0)), schedule, data)
    if checkpoint is not None and (state := checkpoint.load()) is not None:
        run.restore(state)
    source = iter(data)
    every = schedule.evaluate_every()
    watched = {schedule.steps * (i + 1) // WATCHED for i in range(WATCHED)}
    while run.step < schedule.steps and not run.finished:
        if interrupted():
            saved = checkpoint is not None and run.step > 0 and checkpoint.save(run.state())
            raise Interrupted(
                f"interrupted after step {run.step}; {'its checkpoint is' if saved else 'nothing is'} kept"
            )
        value = loss(replace(next(source), progress=run.step / schedule.steps))
        going = value if run.alive is None else torch.where(run.alive, value, 0.0)
        run.optimiser.step(going, schedule.lr(run.step), schedule.scale, clip)
        run.losses.append(value.detach())
        run.step += 1
        last = run.step == schedule.steps
        if every is not None and run.step % every == 0:
            schedule.observe(validation())
            last = last or schedule.finished()
        if last or run.step % LOOK_EVERY == 0:
            report(Progress(run.step, schedule.steps, run.look(value.device)))
        if last or run.step in watched:
            run.watch(watch())
        run.finished = last
        if checkpoint is not None and not last and checkpoint.due():
            checkpoint.save(run.state())
    # sorted: a resumed training has read the names from a file, in an order of its own
    history = {name: torch.stack(values) for name, values in sorted(run.history.items())}
    return Outcome(torch.stack(run.losses).cpu(), run.diverged, history)


class _Run:
    """All that changes while a training goes on, beside the model's parameters, which the optimiser has."""

    def __init__(self, optimiser: FlatAdam, schedule: Schedule, data: Iterable[Batch]) -> None:
        self.optimiser = optimiser
        self.schedule = schedule
        self.data = data
        self.step = 0
        self.finished = False
        self.losses: list[Tensor] = []
        self.looked = 0
        self.diverged: list[int | None] = [None] * optimiser.replicates
        self.alive: Tensor | None = None
        self.history: dict[str, list[Tensor]] = {}

    def look(self, device: torch.device) -> float | None:
        """Give up the replicates that diverged since the last look; the mean loss of the others."""
        window = torch.stack(self.losses[self.looked :]).cpu()
        first = self.losses[0].cpu()
        # one batch with a point far out is no divergence: the steps after it mend what it did
        bad = ~torch.isfinite(window) | (window.amin(0) > first + EXPLODED)
        for r in bad.any(0).nonzero().flatten().tolist():
            if self.diverged[r] is None:
                self.diverged[r] = self.looked + int(bad[:, r].nonzero()[0])
            self.optimiser.freeze(r)
        self.looked = len(self.losses)
        left = torch.tensor([at is None for at in self.diverged])
        self.alive = None if left.all() else left.to(device)
        return float(window[-1, left].mean()) if left.any() else None

    def watch(self, found: Mapping[str, Tensor]) -> None:
        """Keep what is seen now."""
        for name, value in {"step": torch.tensor(self.step), **found}.items() if found else ():
            self.history.setdefault(name, []).append(value.detach().cpu())

    def state(self) -> State:
        """All of it, for a checkpoint."""
        assert isinstance(self.data, Batches), "only these can say where they are"
        parts: dict[str, State] = {
            "optimiser": self.optimiser.state(),
            "schedule": self.schedule.state(),
            "data": self.data.state(),
            "noise": self.data.noise.state(),
            "history": {name: torch.stack(values) for name, values in self.history.items()},
            "run": {
                "losses": torch.stack(self.losses),
                "looked": torch.tensor(self.looked),
                "diverged": torch.tensor([-1 if at is None else at for at in self.diverged]),
            },
        }
        return {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items()}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        assert isinstance(self.data, Batches), "only these can go on"
        parts: dict[str, State] = {}
        for key, value in state.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = value
        self.optimiser.restore(parts["optimiser"])
        self.schedule.restore(parts.get("schedule", {}))
        self.data.restore(parts["data"])
        self.data.noise.restore(parts.get("noise", {}))
        run = parts["run"]
        device = self.optimiser.device
        self.losses = list(run["losses"].to(device).unbind())
        self.step, self.looked = len(self.losses), int(run["looked"])
        self.diverged = [None if at < 0 else at for at in run["diverged"].tolist()]
        left = torch.tensor([at is None for at in self.diverged])
        self.alive = None if left.all() else left.to(device)
        self.history = {name: list(values.unbind()) for name, values in parts.get("history", {}).items()}
