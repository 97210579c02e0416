"""One training step of the artificial-data GIN against FrEIA's, in one thread and one run.

Four ways to take the same step: replicates batched by nica-bench; FrEIA's network with the data in memory; the same fed
by a DataLoader; and the published loop as it stands, which also counts each class' members with Python's `sum`. Weights
are copied from ours, and the losses of the same augmented data have to be equal, at the start and after some training.
All take turns, so that a busy machine is busy for all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from benchmarks.common import Bar, Row, finish, median_seconds, parser, say, timed_rounds
from benchmarks.ours import Ours
from benchmarks.published import Published, from_loader, from_memory
from nica_bench.registry import make_scenario
from nica_bench.training.data import Batch

OURS = "nica-bench"
MEMORY = "FrEIA, data in memory"
LOADER = "FrEIA, DataLoader"
PUBLISHED = "FrEIA, the published loop"
BARS = {MEMORY: 5.0, PUBLISHED: 9.0}
"""How many times faster a replicate's step has to be."""
POINTS = 10_000
"""Training points a dataset, as in the published code."""


def check_losses(ours: Ours, conditions: int) -> float:
    """Largest relative difference of losses, ours against the peer's with the same weights and augmented data.

    Raises:
        AssertionError: if it is above the rounding of float32.
    """
    batch = next(ours.batches)
    x = batch.augmented(0.01)
    with torch.no_grad():
        w, _ = ours.flow(x)
        plain = Batch(x, batch.onehot, batch.noise)
        mine = type(ours.method)(augmentation=0.0).loss(ours.model, plain) / ours.n_observed
        u = batch.onehot.argmax(1)
        peers = [Published(ours.flow, r, conditions) for r in range(len(x))]
        theirs = torch.stack([peer.loss(x[r].mT.contiguous(), u[r]) for r, peer in enumerate(peers)])
    assert w.shape == x.shape
    difference = float(((mine - theirs).abs() / theirs.abs()).max())
    assert difference < 1e-4, f"losses differ by {difference:.1e}: {mine.tolist()} and {theirs.tolist()}"
    return difference


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--replicates", type=int, default=16, help="R; default %(default)s")
    options.add_argument("--batch", type=int, default=1_000, help="batch size; default %(default)s")
    options.add_argument("--rounds", type=int, default=9, help="turns that each takes; default %(default)s")
    given = options.parse_args(arguments)
    replicates, rounds, steps = (2, 2, 3) if given.smoke else (given.replicates, given.rounds, 40)

    scenario = make_scenario("gauss-2of10", {"samples": str(POINTS), "held_out": "100"})
    data = [(d.train.x, d.train.u) for d in (scenario.generate(seed) for seed in range(replicates))]
    ours = Ours(data, 5, given.batch)
    first = check_losses(ours, 5)
    ours.steps(100)()
    later = check_losses(ours, 5)
    say(f"losses agree to {first:.0e} at step 0 and to {later:.0e} at step 100")

    x, u = torch.from_numpy(data[0][0].copy()), torch.from_numpy(data[0][1].copy())
    memory, loader, published = (Published(ours.flow, 0, 5) for _ in range(3))
    variants = {
        OURS: ours.steps(steps),
        MEMORY: memory.steps(from_memory(x, u, given.batch), steps),
        LOADER: loader.steps(from_loader(x, u, given.batch), steps),
        PUBLISHED: published.steps(from_loader(x, u, given.batch), steps, count=sum),
    }
    each = {name: 1e3 * s / steps for name, s in median_seconds(timed_rounds(variants, rounds)).items()}
    each[OURS] /= replicates
    times = {name: ms / each[OURS] for name, ms in each.items()}
    rows: list[Row] = [
        {"step": name, "CPU ms a replicate and step": each[name], "times ours": times[name]} for name in variants
    ]
    bars = [
        Bar(f"against {name}", f">= {bar:g} x", f"{times[name]:.1f} x", times[name] >= bar)
        for name, bar in BARS.items()
    ]
    bars.append(Bar("losses with copied weights", "equal", f"to {max(first, later):.0e} relative", True))
    title = f"R = {replicates}, batch {given.batch:,}, one thread, median of {rounds} rounds of {steps} steps"
    return finish(given, {title: rows}, bars)


if __name__ == "__main__":
    sys.exit(main())
