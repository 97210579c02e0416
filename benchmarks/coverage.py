"""How often the 95 % intervals of `nica_bench.stats` hold the truth, for scores as they really are.

    python benchmarks/coverage.py            # about a minute on one core

Scores are drawn from a mixture like the mcc of GIN on gauss-2of10: four datasets in five succeed, 1 - mcc exponential
with mean .01, and one in five fails, mcc uniform between .3 and .9. The truth is the aggregate of ten million draws.
The table is quoted in docs/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from nica_bench.stats import Estimate, compare, iqm, iqm_interval, mean_interval, median_interval, success_rate

COUNTS = (3, 5, 10, 20, 50)
THRESHOLD = 0.95


def draw(rng: np.random.Generator, count: int) -> np.ndarray:
    """Scores of so many datasets."""
    good = 1 - np.minimum(rng.exponential(0.01, count), 0.5)
    return np.where(rng.random(count) < 0.8, good, rng.uniform(0.3, 0.9, count))


def difference_interval(scores: np.ndarray) -> Estimate:
    """Median paired difference to a method that is .02 worse on the median dataset."""
    gap = np.random.default_rng(scores.view(np.uint32)).exponential(0.02 / np.log(2), len(scores))
    return compare(scores, scores - gap, resamples=1000).median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="repetitions of each; default: %(default)s")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds that shows that it works")
    given = parser.parse_args()
    trials = 5 if given.smoke else given.trials
    population = draw(np.random.default_rng(0), 10_000_000)
    cases: dict[str, tuple[Callable[[np.ndarray], Estimate], float]] = {
        "median": (lambda s: median_interval(s, resamples=1000), float(np.median(population))),
        "IQM": (lambda s: iqm_interval(s, resamples=1000), float(iqm(population))),
        "mean": (lambda s: mean_interval(s, resamples=1000), float(population.mean())),
        f"share above {THRESHOLD} (Wilson)": (
            lambda s: success_rate(s, THRESHOLD),
            float((population >= THRESHOLD).mean()),
        ),
        "median paired difference": (difference_interval, 0.02),
    }
    print("| interval | truth | " + " | ".join(f"{n} datasets" for n in COUNTS) + " |")
    print("|---|---|" + "---|" * len(COUNTS))
    for name, (interval, truth) in cases.items():
        runs = []
        for count in COUNTS:
            rng = np.random.default_rng(count)
            held = [e.low <= truth <= e.high for e in (interval(draw(rng, count)) for _ in range(trials))]
            runs.append(f"{np.mean(held):.2f}")
        print(f"| {name} | {truth:.3f} | " + " | ".join(runs) + " |", flush=True)


if __name__ == "__main__":
    main()
