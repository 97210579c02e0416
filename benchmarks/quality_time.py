"""Time to quality: seconds a dataset until the median mcc over ten datasets passes .985, in one thread.

By the published loop and schedule (FrEIA and a DataLoader, 10,000 points, batch 1,000, 80 epochs, learning rate 1e-2,
a tenth of it after 50) and by nica-bench's default `gin` (50,000 points, 1,000 steps of a cosine, all datasets as one
batched model). Both start from the same weights. At checkpoints the clock stops and the model is scored; the truth
serves to read the clock, and neither side sees it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.common import Row, finish, parser, say
from benchmarks.published import Published, from_loader
from nica_bench.dataset import Dataset, Split
from nica_bench.flows import Flow
from nica_bench.method import FitSession, Progress
from nica_bench.methods.gin import GIN
from nica_bench.metrics import assign, matched_correlation, mean_correlation, top_codes
from nica_bench.registry import make_scenario
from nica_bench.seeds import Streams
from nica_bench.training.data import Shape, stack

GOAL = 0.985
CONDITIONS = 3
POINTS, BATCH, EPOCHS, DECAY = 10_000, 1_000, 80, 50
"""The published schedule for artificial data."""
EVERY = 50
"""Steps between two looks."""

Trajectory = dict[int, tuple[float, list[float]]]
"""By step: mean CPU seconds a dataset, and the score of each dataset."""


@dataclass(frozen=True)
class Watched(GIN):
    """`gin` as it is, which keeps its model where the benchmark can look at it."""

    kept: ClassVar[list[nn.Module]] = []

    def build(self, shape: Shape, generators: Sequence[torch.Generator], x: Tensor) -> nn.Module:
        """The model, kept."""
        self.kept[:] = [super().build(shape, generators, x)]
        return self.kept[0]


def mcc(data: Dataset, validation: NDArray[Any], test: NDArray[Any]) -> float:
    """The headline score of codes (N, D), ranked by their within-class sd on validation data."""
    variances = [validation[data.validation.u == k].var(0) for k in range(data.conditions)]
    top = top_codes(np.mean(variances, 0), data.n_latents)
    assignment = assign(data.validation.z, validation, top)
    return mean_correlation(matched_correlation(assignment, data.test.z, test))


def ours(datasets: Sequence[Dataset], seeds: Sequence[int], method: Watched) -> Trajectory:
    """All datasets as one group, through the method's own `fit_group`."""
    found: Trajectory = {}
    spent, since = 0.0, time.process_time()

    def codes(splits: Sequence[Split]) -> list[NDArray[Any]]:
        x = stack([s.x for s in splits], [s.u for s in splits], CONDITIONS, "cpu")[:, : splits[0].x.shape[1]]
        with torch.no_grad():
            return [c.mT.numpy() for c in method.encode(method.kept[0], x.contiguous(), x)]

    def look(progress: Progress) -> None:
        nonlocal spent, since
        spent += time.process_time() - since
        if progress.step % EVERY == 0 or progress.step == progress.steps:
            both = codes([d.validation for d in datasets]), codes([d.test for d in datasets])
            found[progress.step] = spent / len(datasets), [mcc(*one) for one in zip(datasets, *both, strict=True)]
        since = time.process_time()

    seen = [d.observations(method.side_information) for d in datasets]
    method.fit_group(seen, [Streams.of_fit(seed, 0) for seed in seeds], FitSession(report=look))
    return found


def published(datasets: Sequence[Dataset], seeds: Sequence[int], epochs: int) -> Trajectory:
    """One dataset after the other."""
    looks: dict[int, list[tuple[float, float]]] = {}
    epoch_steps = POINTS // BATCH
    for data, seed in zip(datasets, seeds, strict=True):
        torch.manual_seed(seed)
        shape = Shape(1, data.n_observed, CONDITIONS, None)
        model = GIN().build(shape, [Streams.of_fit(seed, 0).torch("initialisation")], torch.empty(0))
        peer = Published(cast(Flow, model.flow), 0, CONDITIONS)
        x, u = (torch.from_numpy(part[:POINTS].copy()) for part in (data.train.x, data.train.u))
        batches = from_loader(x, u, BATCH)
        schedule = torch.optim.lr_scheduler.MultiStepLR(peer.optimiser, [DECAY])
        train, spent = peer.steps(batches, epoch_steps, count=sum), 0.0
        for epoch in range(1, epochs + 1):
            since = time.process_time()
            train()
            schedule.step()
            spent += time.process_time() - since
            if epoch * epoch_steps % EVERY == 0 or epoch == epochs:
                score = mcc(data, peer.encode(data.validation.x), peer.encode(data.test.x))
                looks.setdefault(epoch * epoch_steps, []).append((spent, score))
        say(f"published loop, seed {seed}: mcc {score:.3f} after {spent:.0f} s")
    return {step: (float(np.mean([s for s, _ in all_])), [m for _, m in all_]) for step, all_ in looks.items()}


def summary(name: str, trajectory: Trajectory) -> Row:
    """When the median passed the goal, and where it ended."""
    passed = next((step for step, (_, scores) in trajectory.items() if np.median(scores) > GOAL), None)
    last = max(trajectory)
    return {
        "by": name,
        f"step at which the median mcc passed {GOAL}": passed,
        "CPU s a dataset till then": None if passed is None else trajectory[passed][0],
        "steps in all": last,
        "CPU s a dataset in all": trajectory[last][0],
        "median mcc at the end": round(float(np.median(trajectory[last][1])), 4),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser(__doc__).parse_args(arguments)
    seeds = range(2 if given.smoke else 10)
    sizes = {"conditions": str(CONDITIONS), **({"samples": "10000", "held_out": "500"} if given.smoke else {})}
    scenario = make_scenario("gauss-2of10", sizes)
    datasets = [scenario.generate(seed) for seed in seeds]
    by_us = ours(datasets, seeds, Watched(steps=10) if given.smoke else Watched())
    say(f"nica-bench: median mcc {np.median(by_us[max(by_us)][1]):.3f} after {by_us[max(by_us)][0]:.1f} s a dataset")
    by_them = published(datasets, seeds, 1 if given.smoke else EPOCHS)
    both = {"nica-bench, gin": by_us, "the published loop": by_them}
    steps = sorted(set(by_us) | set(by_them))
    rows: list[Row] = []
    for step in steps:
        row: Row = {"step": step}
        for name, trajectory in both.items():
            seconds, scores = trajectory.get(step, (None, None))
            row[f"{name}: CPU s a dataset"] = seconds
            row[f"{name}: median mcc"] = None if scores is None else round(float(np.median(scores)), 4)
        rows.append(row)
    tables = {
        f"{scenario.label}, seeds {seeds.start} to {seeds.stop - 1}": [summary(*item) for item in both.items()],
        "On the way": rows,
    }
    return finish(given, tables, [])


if __name__ == "__main__":
    sys.exit(main())
