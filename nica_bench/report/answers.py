"""The main result of each scenario, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nica_bench.errors import NicaBenchError
from nica_bench.records.record import Status
from nica_bench.stats import Block, best_of, median_interval, quantity
from nica_bench.tables.table import bracket, number
from nica_bench.tables.unlabelled import Arrays, unlabelled_rows

__all__ = ["answer"]


def answer(block: Block, arrays: Arrays) -> str:
    """Return one sentence on a scenario: the best method, its baseline, and whether the difference is significant.

    Args:
        block: the records of the scenario.
        arrays: the function that returns the arrays of a record, from which the consistency is computed.
    """
    return _unlabelled(block, arrays) if block.unlabelled else _by_mcc(block)


def _by_mcc(block: Block) -> str:
    mcc = quantity("mcc")
    results = block.results(mcc)
    ranked = []
    for series in block.series:
        values = list(results[series.method].by_dataset().values())
        if series.is_method and series.finished and values:
            ranked.append((median_interval(values), series, results[series.method]))
    if not ranked:
        return f"{block.scenario}: no method finished on any dataset."
    estimate, series, outcomes = max(ranked, key=lambda entry: entry[0].value)
    ends = (None, None) if estimate.single else (estimate.low, estimate.high)
    text = f"{block.scenario}: {series.method} has the best median MCC, {bracket(estimate.value, *ends)}"
    if outcomes.baseline is not None:
        way = "above" if estimate.value > outcomes.baseline.level else "not above"
        text += f", {way} its baseline {outcomes.baseline.method} at {number(outcomes.baseline.level)}"
    sure = best_of(block, mcc) == series.method
    return text + (
        "; the paired test finds it better than every other method and baseline."
        if sure
        else "; the paired test does not find it better than every other method and baseline."
    )


def _unlabelled(block: Block, arrays: Arrays) -> str:
    """Return the sentence on unlabelled data: the fewest bits per dimension, knees and consistency."""

    def safe(record: Any) -> Mapping[str, Any]:
        try:
            return arrays(record)
        except NicaBenchError:  # the table of scores shows it
            return {}

    finished = {series.method for series in block.series if any(r.status is Status.OK for r in series.records.values())}
    rows = [row for row in unlabelled_rows(block, safe) if row["kind"] == "method" and row["method"] in finished]
    if not rows:
        return f"{block.scenario}: the true latents are unknown, and no method finished."
    first = rows[0]
    if first["bits"] is None:
        said = ["no method that finished has a likelihood"]
    else:
        said = [f"{first['method']} has the fewest bits per dimension, {number(first['bits'])}"]
        if first["bayes"] is not None:
            said[0] += (
                f", and naive Bayes on its codes classifies {100 * first['bayes']:.0f} % of test images correctly"
            )
    knees = [f"{_knee(row)} by {row['method']}" for row in rows if row["knee"] is not None]
    if knees:
        said.append(f"the knees, with the intervals of all rules, are {', '.join(knees)}")
    consistent = [
        f"{row['method']} {number(row['consistency'])} (chance {number(row['consistency_chance'])})"
        for row in rows
        if row["consistency"] is not None
    ]
    if consistent:
        said.append(f"the consistency between training seeds is {', '.join(consistent)}")
    return f"{block.scenario}: the true latents are unknown; {'; '.join(said)}."


def _knee(row: Mapping[str, Any]) -> str:
    return f"{row['knee']:.0f} [{row['knee_low']:.0f} {row['knee_high']:.0f}]"
