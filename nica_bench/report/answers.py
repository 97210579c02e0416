"""What a scenario's records come to, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nica_bench.errors import NicaBenchError
from nica_bench.records.record import Status
from nica_bench.stats import Block, best_of, median_interval, quantity
from nica_bench.tables.blind import Arrays, blind_rows
from nica_bench.tables.table import bracket, number

__all__ = ["answer"]


def answer(block: Block, arrays: Arrays) -> str:
    """One sentence a scenario: who is ahead, of what, and whether that is sure.

    Args:
        block: its records.
        arrays: gives the arrays of a record, by which two initialisations are compared.
    """
    return _blind(block, arrays) if block.blind else _by_mcc(block)


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
    text = f"{block.scenario}: {series.method} has the best median mcc, {bracket(estimate.value, *ends)}"
    if outcomes.baseline is not None:
        way = "above" if estimate.value > outcomes.baseline.level else "not above"
        text += f", {way} its baseline {outcomes.baseline.method} at {number(outcomes.baseline.level)}"
    sure = best_of(block, mcc) == series.method
    return text + (
        "; it beats every rival in the paired test."
        if sure
        else "; the paired test leaves open whether it is the best."
    )


def _blind(block: Block, arrays: Arrays) -> str:
    """Where nobody knows the latents: who describes the data in the fewest bits, and what its codes look like."""

    def safe(record: Any) -> Mapping[str, Any]:
        try:
            return arrays(record)
        except NicaBenchError:  # the table of scores says so
            return {}

    finished = {series.method for series in block.series if any(r.status is Status.OK for r in series.records.values())}
    rows = [row for row in blind_rows(block, safe) if row["kind"] == "method" and row["method"] in finished]
    if not rows:
        return f"{block.scenario}: nobody knows the latents, and no method finished."
    first = rows[0]
    if first["bits"] is None:
        said = ["no method that finished has a density"]
    else:
        said = [f"{first['method']} takes the fewest bits a dimension, {number(first['bits'])}"]
        if first["bayes"] is not None:
            said[0] += (
                f", and its codes tell the classes apart in {100 * first['bayes']:.0f} % of test images (naive Bayes)"
            )
    knees = [f"{_knee(row)} by {row['method']}" for row in rows if row["knee"] is not None]
    if knees:
        said.append(f"knee, with the interval of all rules: {', '.join(knees)}")
    again = [
        f"{row['method']} {number(row['consistency'])} (chance {number(row['consistency_chance'])})"
        for row in rows
        if row["consistency"] is not None
    ]
    if again:
        said.append(f"two initialisations agree by a mean correlation of: {', '.join(again)}")
    return f"{block.scenario}: nobody knows the latents; {'; '.join(said)}."


def _knee(row: Mapping[str, Any]) -> str:
    return f"{row['knee']:.0f} [{row['knee_low']:.0f} {row['knee_high']:.0f}]"
