"""How a training step of GIN scales with the replicates R, the batch size and the dimensions D, in one thread.

One of the three is varied at a time; the others stay at R = 16, 1,000 points and D = 10.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from benchmarks.common import Row, finish, median_seconds, parser, say, timed_rounds
from benchmarks.ours import Ours
from nica_bench.flows import parameter_count

CONDITIONS = 5
EPOCH = 4
"""Batches in an epoch: the cost of shuffling is part of a step."""


@dataclass(frozen=True)
class Size:
    """Replicates, points a batch, dimensions."""

    replicates: int = 16
    batch: int = 1_000
    dimensions: int = 10


def prepared(size: Size) -> Ours:
    """A group on random data: the cost of a step does not depend on the numbers."""
    rng = np.random.default_rng(0)
    points = EPOCH * size.batch
    data = [
        (rng.standard_normal((points, size.dimensions)), rng.integers(CONDITIONS, size=points))
        for _ in range(size.replicates)
    ]
    return Ours(data, CONDITIONS, size.batch)


def measured(sizes: Sequence[Size], rounds: int) -> list[Row]:
    """Rows of one table; its sizes take turns."""
    groups = {astuple(size): prepared(size) for size in sizes}
    steps = {size: max(2, min(20, 160_000 // (r * b * d // 10))) for size in groups for r, b, d in [size]}
    seconds = median_seconds(
        timed_rounds({str(size): ours.steps(steps[size]) for size, ours in groups.items()}, rounds)
    )
    rows: list[Row] = []
    for size, ours in groups.items():
        replicates, batch, dimensions = size
        step = 1e3 * seconds[str(size)] / steps[size]
        rows.append(
            {
                "R": replicates,
                "batch": batch,
                "D": dimensions,
                "parameters": parameter_count(ours.model),
                "CPU ms a step": step,
                "ms a replicate": step / replicates,
                "us a point": 1e3 * step / replicates / batch,
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=9, help="turns that each size takes; default %(default)s")
    given = options.parse_args(arguments)
    base = Size()
    sweeps = {
        "Replicates": [replace(base, replicates=r) for r in (1, 2, 4, 8, 16, 32)],
        "Batch": [replace(base, batch=b) for b in (250, 500, 1_000, 2_000, 4_000)],
        "Dimensions": [replace(base, dimensions=d) for d in (4, 6, 10, 20, 50)],
    }
    if given.smoke:
        sweeps = {name: [replace(s, replicates=2, batch=250) for s in sizes[:1]] for name, sizes in sweeps.items()}
    tables = {}
    for name, sizes in sweeps.items():
        say(f"{name.lower()}: {len(sizes)} sizes")
        tables[name] = measured(sizes, 1 if given.smoke else given.rounds)
    return finish(given, tables, [])


if __name__ == "__main__":
    sys.exit(main())
