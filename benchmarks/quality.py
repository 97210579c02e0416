"""What methods and baselines reach on gauss-2of10, against the bars the project has set itself.

Runs datasets 0:20, and 100:120 that nothing was tuned on, with 3 and 5 conditions, through `nica-bench run`; what the
folder holds already is not computed again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import Bar, Row, finish, parser, say
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.registry import make_method, make_scenario, method_types
from nica_bench.running.plan import make_runs, parse_seeds
from nica_bench.stats import Estimate, compare, mean_interval, median_interval, success_rate

SETS = ("0:20", "100:120")
CONDITIONS = (3, 5)
SUCCESS = 0.95


@dataclass(frozen=True)
class Scores:
    """The records of one number of conditions and one set of seeds."""

    conditions: int
    seeds: str
    records: list[Record]

    def values(self, method: str, metric: str) -> dict[int, float]:
        """Score by seed; 0 where a run failed."""
        mine = [r for r in self.records if r.spec.method == method]
        return {r.spec.seed: r.scores.get(metric, 0.0) if r.status is Status.OK else 0.0 for r in mine}

    def median(self, method: str, metric: str = "mcc") -> Estimate | None:
        """None where the method did not run."""
        values = self.values(method, metric)
        return median_interval(list(values.values())) if values else None

    def mean(self, method: str, metric: str = "mcc") -> Estimate | None:
        """None where the method did not run."""
        values = self.values(method, metric)
        return mean_interval(list(values.values())) if values else None

    def share(self, method: str, metric: str, threshold: float) -> Estimate | None:
        """Share of datasets that reach a threshold."""
        values = self.values(method, metric)
        return success_rate(list(values.values()), threshold) if values else None

    def bar(self, method: str, what: str, got: Estimate | None, *, low: float, high: float = 1.0) -> Bar:
        """A bar that a figure has to stand in."""
        expected = f">= {low:g}" if high == 1 else f"<= {high:g}" if low <= 0 else f"{low:.3g} to {high:.3g}"
        name = f"{method}, {self.conditions} conditions, {self.seeds}: {what}"
        if got is None:
            return Bar(name, expected, "-", None)
        return Bar(name, expected, f"{got.value:.3f} [{got.low:.3f} {got.high:.3f}]", low <= got.value <= high)


def near(expected: float) -> dict[str, float]:
    """Within .05 of the mean that was measured, over other datasets, before the project was written."""
    return {"low": expected - 0.05, "high": min(expected + 0.05, 1.0)}


def bars_of(by: dict[tuple[int, str], Scores]) -> list[Bar]:
    """All bars, in the order of methods."""
    bars: list[Bar] = []
    first, unseen = SETS
    for k, median, success, dimension in ((3, 0.985, 0.85, 0.85), (5, 0.98, 0.75, None)):
        s, again = by[k, first], by[k, unseen]
        bars.append(s.bar("gin", "median mcc", s.median("gin"), low=median))
        bars.append(s.bar("gin", f"share above {SUCCESS}", s.share("gin", "mcc", SUCCESS), low=success))
        if dimension is not None:
            right = s.share("gin", "dimension_correct", 1)
            bars.append(s.bar("gin", "share with the right dimension", right, low=dimension))
        if (tuned := s.median("gin")) is not None:
            interval = {"low": tuned.low, "high": tuned.high}
            bars.append(again.bar("gin", f"median mcc, in the interval of {first}", again.median("gin"), **interval))
    for k, median in ((3, 0.85), (5, 0.90)):
        s = by[k, first]
        bars.append(s.bar("ivae", "median mcc", s.median("ivae"), low=median))
        name, expected = f"ivae against pca, {k} conditions, {first}: median difference", "> 0, Wilcoxon p < .05"
        if s.values("ivae", "mcc") and s.values("pca", "mcc"):
            c = compare(s.values("ivae", "mcc"), s.values("pca", "mcc"))
            measured = f"{c.median.value:+.3f} [{c.median.low:+.3f} {c.median.high:+.3f}], p = {c.p_value:.1g}"
            bars.append(Bar(name, expected, measured, c.median.value > 0 and c.p_value < 0.05))
        else:
            bars.append(Bar(name, expected, "-", None))
    for k in CONDITIONS:
        s = by[k, first]
        for method, metric, before in (
            ("raw-x", "mcc_best", 0.946),
            ("linear-oracle", "mcc", 0.995),
            ("pca", "mcc", 0.80),
            ("fastica", "mcc", 0.74),
        ):
            bars.append(s.bar(method, f"mean {metric}", s.mean(method, metric), **near(before)))
        # the class means alone, all of them free to be matched: the baseline that a bare MCC has
        if k == 3:
            best = s.mean("label-only", "mcc_best")
            bars.append(s.bar("label-only", "mean mcc_best", best, **near(0.72)))
        bars.append(s.bar("label-only", "mean mcc_within", s.mean("label-only", "mcc_within"), low=-1, high=0.1))
    return bars


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help="folder of the records; default: one that is thrown away")
    options.add_argument(
        "--methods",
        default=",".join(name for name, m in method_types().items() if m.default),
        help="comma-separated; default: %(default)s",
    )
    options.add_argument("--jobs", type=int, help="worker processes; default: the cores")
    given = options.parse_args(arguments)
    methods = [make_method(name) for name in given.methods.split(",")]
    seeds = dict(zip(SETS, SETS, strict=True))
    sizes: dict[str, str] = {}
    if given.smoke:
        methods = [make_method(f"{m.name}[steps=5]" if m.replicated else m.name) for m in methods]
        seeds = dict(zip(SETS, ("0:2", "100:102"), strict=True))
        sizes = {"samples": "1000", "held_out": "500"}
    scenarios = {k: make_scenario("gauss-2of10", {"conditions": str(k), **sizes}) for k in CONDITIONS}
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        command = [sys.executable, "-m", "nica_bench", "run", "--out", str(out), "--seeds", ",".join(seeds.values())]
        command += [word for s in scenarios.values() for word in ("--scenario", s.label)]
        command += [word for m in methods for word in ("--method", m.label)]
        command += ["--jobs", str(given.jobs)] if given.jobs else []
        say(" ".join(command))
        status = subprocess.run(command, stdout=sys.stderr, check=False).returncode
        if status not in (0, 3):
            return status
        records = Store.open(out, create=False).scan().records
    by = {}
    for k, scenario in scenarios.items():
        for name, text in seeds.items():
            keys = [run.spec.key for run in make_runs([scenario], methods, parse_seeds(text), 1)]
            by[k, name] = Scores(k, name, [records[key] for key in keys if key in records])
    return finish(given, {"Medians with 95 % intervals": rows_of(by, [m.name for m in methods])}, bars_of(by))


def rows_of(by: dict[tuple[int, str], Scores], methods: Sequence[str]) -> list[Row]:
    """A row a method, number of conditions and set of seeds."""

    def text(got: Estimate | None) -> Any:
        return None if got is None else f"{got.value:.3f} [{got.low:.3f} {got.high:.3f}]"

    rows: list[Row] = []
    for method in methods:
        for (k, name), s in by.items():
            dimension = s.values(method, "dimension_correct")
            told = "n" in method_types()[method].side_information
            rows.append(
                {
                    "method": method,
                    "conditions": k,
                    "seeds": name,
                    "mcc": text(s.median(method)),
                    f"share above {SUCCESS}": text(s.share(method, "mcc", SUCCESS)),
                    "mcc_within": text(s.median(method, "mcc_within")),
                    "mcc_best": text(s.median(method, "mcc_best")),
                    "right dimension": None if told else text(success_rate(list(dimension.values()), 1)),
                    "ok": sum(r.status is Status.OK for r in s.records if r.spec.method == method),
                }
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
