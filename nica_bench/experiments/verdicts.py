"""Whether records are as an experiment expects. From records alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nica_bench.experiments.experiment import Expectation, Experiment
from nica_bench.records.record import Record
from nica_bench.stats import (
    Estimate,
    Outcomes,
    Series,
    blocks_of,
    iqm_interval,
    mean_interval,
    median_interval,
    quantities,
    wilson,
)

__all__ = ["AS_EXPECTED", "NOT_AS_EXPECTED", "Verdict", "judge", "summary"]

AS_EXPECTED = "as expected"
NOT_AS_EXPECTED = "not as expected"


@dataclass(frozen=True)
class Verdict:
    """What came of an expectation.

    Args:
        expectation: what was expected.
        measured: the number with its interval over datasets; None where the records have none.
        reason: why it is not judged; empty where it is.
    """

    expectation: Expectation
    measured: Estimate | None
    reason: str = ""

    @property
    def answer(self) -> str:
        """`as expected`, `not as expected` or `not judged: ...`. The number counts, not its interval."""
        if self.reason or self.measured is None:
            return f"not judged: {self.reason}"
        inside = self.expectation.low <= self.measured.value <= self.expectation.high
        return AS_EXPECTED if inside else NOT_AS_EXPECTED


def judge(experiment: Experiment, records: Iterable[Record]) -> list[Verdict]:
    """Hold records against what an experiment expects.

    An expectation is judged where the records of its method on its scenario have exactly the data seeds and training
    seeds of the experiment. As in every table, a failed run scores the baseline and is no success.

    Args:
        experiment: what is expected.
        records: of a run, no key twice.

    Returns:
        One verdict per expectation, in their order.
    """
    found = {(block.scenario, s.method): (block, s) for block in blocks_of(records)[0] for s in block.series}
    known = quantities()
    verdicts = []
    for e in experiment.expectations:
        if (e.scenario, e.method) not in found:
            other = "methods" if any(scenario == e.scenario for scenario, _ in found) else "scenarios"
            verdicts.append(Verdict(e, None, f"other {other}"))
            continue
        block, series = found[e.scenario, e.method]
        measured = _measured(e, block.outcomes(series, known[e.quantity]))
        reason = _difference(experiment, series, e.scenario)
        if not reason and measured is None:
            reason = f"no dataset has {e.quantity}"
        verdicts.append(Verdict(e, measured, reason))
    return verdicts


def summary(verdicts: Sequence[Verdict]) -> str:
    """The answer of the whole: as expected where all are that are judged."""
    judged = [v for v in verdicts if not v.reason]
    wrong = sum(v.answer == NOT_AS_EXPECTED for v in judged)
    if not judged:
        return "not judged: " + ", ".join(dict.fromkeys(v.reason for v in verdicts))
    of = f"{wrong} of {len(judged)}" if wrong else ""
    left = f"{len(verdicts) - len(judged)} not judged" if len(judged) < len(verdicts) else ""
    more = ", ".join(filter(None, (of, left)))
    return (NOT_AS_EXPECTED if wrong else AS_EXPECTED) + (f" ({more})" if more else "")


def _difference(experiment: Experiment, series: Series, scenario: str) -> str:
    """Why a series is not that of the experiment; empty where it is."""
    [asked] = (s for s in experiment.grid.scenarios if s.label == scenario)
    seeds, trainings = experiment.grid.seeds_of(asked)
    if {seed for seed, _ in series.records} != set(seeds):
        return "other seeds"
    return "" if series.training_seeds == list(range(trainings)) else "other training seeds"


def _measured(e: Expectation, outcomes: Outcomes) -> Estimate | None:
    values = list(outcomes.by_dataset().values())
    if not values:
        return None
    if e.threshold is not None:
        return wilson(list(outcomes.success_by_dataset(e.threshold).values()))
    return {"median": median_interval, "iqm": iqm_interval, "mean": mean_interval}[e.statistic](values)
