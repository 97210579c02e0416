"""What scoring a fit costs, against the same numbers made the straightforward way with scipy and scikit-learn.

10,000 validation and 10,000 test points, two latents, ten codes, five conditions; both sides have to agree on every
number that is not random.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from benchmarks.common import Bar, Row, finish, median_seconds, parser, timed_rounds
from nica_bench.metrics import Sample, score

PERMUTATIONS, ROWS = 20, 2_000
"""Of the chance level, as in `nica_bench.metrics`."""


def sample(seed: int, points: int) -> Sample:
    """Codes that hold the latents, blurred and mixed a little, among noise."""
    rng = np.random.default_rng(seed)
    u = rng.integers(0, 5, points)
    z = np.random.default_rng(99).normal(0, 2, (5, 2))[u] + rng.normal(size=(points, 2))
    blurred = z @ np.array([[1.0, 0.3], [-0.2, 1.0]]) + 0.5 * rng.normal(size=z.shape)
    return Sample(z, np.column_stack([blurred, rng.normal(size=(points, 8))]), u)


def _matched(fit: NDArray[Any], test: NDArray[Any]) -> float:
    rows, columns = linear_sum_assignment(np.abs(fit), maximize=True)
    return float(np.mean(np.sign(fit[rows, columns]) * test[rows, columns]))


def _pairwise(z: NDArray[Any], codes: NDArray[Any], statistic: Any = pearsonr) -> NDArray[Any]:
    return np.array([[statistic(a, b)[0] for b in codes.T] for a in z.T])


def _centred(values: NDArray[Any], u: NDArray[Any]) -> NDArray[Any]:
    result = values.copy()
    for k in np.unique(u):
        result[u == k] -= values[u == k].mean(0)
    return result


def straightforward(fit: Sample, test: Sample, importance: NDArray[Any], rng: np.random.Generator) -> dict[str, float]:
    """The scores by textbook calls."""
    n = fit.z.shape[1]
    order = np.argsort(-importance)
    top, rest = order[:n], order[n:]
    r2 = {}
    for name, use in (("r2_affine", top), ("leakage", rest)):
        predicted = LinearRegression().fit(fit.codes[:, use], fit.z).predict(test.codes[:, use])
        r2[name] = float(np.clip(r2_score(test.z, predicted, multioutput="raw_values"), 0, 1).mean())
    chance = []
    for _ in range(PERMUTATIONS):
        tables = [_pairwise(s.z[:ROWS], rng.permutation(s.codes[:ROWS, top])) for s in (fit, test)]
        chance.append(abs(_matched(tables[0], tables[1])))
    parts = {
        "mcc": [_pairwise(s.z, s.codes[:, top]) for s in (fit, test)],
        "mcc_best": [_pairwise(s.z, s.codes) for s in (fit, test)],
        "mcc_within": [_pairwise(_centred(s.z, s.u), _centred(s.codes[:, top], s.u)) for s in (fit, test)],
        "mcc_spearman": [_pairwise(s.z, s.codes[:, top], spearmanr) for s in (fit, test)],
    }
    return {**{name: _matched(*both) for name, both in parts.items()}, **r2, "chance": float(np.mean(chance))}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=15, help="turns that each takes; default %(default)s")
    given = options.parse_args(arguments)
    points, rounds = (1_000, 2) if given.smoke else (10_000, given.rounds)
    fit, test, importance = sample(1, points), sample(2, points), np.arange(10.0, 0.0, -1.0)
    ours, theirs = "nica_bench.metrics.score", "scipy and scikit-learn"
    mine = score(fit, test, importance, np.random.default_rng(0)).values
    peer = straightforward(fit, test, importance, np.random.default_rng(0))
    differences = {name: abs(mine[name] - value) for name, value in peer.items() if name != "chance"}
    worst = max(differences, key=lambda name: differences[name])
    assert differences[worst] < 1e-6, f"{worst}: {mine[worst]} here, {peer[worst]} by the peer"
    seconds = median_seconds(
        timed_rounds(
            {
                ours: lambda: score(fit, test, importance, np.random.default_rng(0)),
                theirs: lambda: straightforward(fit, test, importance, np.random.default_rng(0)),
            },
            rounds,
        )
    )
    rows: list[Row] = [{"by": name, "CPU ms": 1e3 * s, "times ours": s / seconds[ours]} for name, s in seconds.items()]
    ratio = seconds[ours] / seconds[theirs]
    bars = [
        Bar("the same numbers", "to 1e-6", f"to {differences[worst]:.0e}", True),
        Bar("time against the peer's", "<= 1 x", f"{ratio:.2f} x", ratio <= 1),
    ]
    return finish(given, {f"{points:,} and {points:,} points, median of {rounds} rounds": rows}, bars)


if __name__ == "__main__":
    sys.exit(main())
