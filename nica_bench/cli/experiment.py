"""Experiments on the command line: what they are, and what is said of their outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nica_bench.experiments import Expectation, Experiment, Verdict, summary
from nica_bench.running.plan import seeds_text
from nica_bench.tables.table import bracket, number

__all__ = ["about", "about_lines", "verdict_lines", "verdicts_json"]


def verdict_lines(experiment: Experiment, verdicts: Sequence[Verdict]) -> list[str]:
    """A line per expectation below its scenario, the answer, and how it contradicts the source where it does."""
    lines = [f"{experiment.name}: {experiment.title} ({experiment.source})"]
    scenario = ""
    for v in verdicts:
        if v.expectation.scenario != scenario:
            scenario = v.expectation.scenario
            lines.append(scenario)
        m = v.measured
        value = "-" if m is None else number(m.value) if m.single else bracket(m.value, m.low, m.high)
        expected = f"expected {_range(v.expectation)}"
        lines.append(f"  {v.expectation.method}: {_what(v.expectation)} {value}, {expected}: {v.answer}")
    lines.append(f"{experiment.name}: {summary(verdicts)}")
    if experiment.contradicts:
        lines.append(f"Against the source: {experiment.contradicts}")
    return lines


def verdicts_json(experiment: Experiment, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The same for a program."""
    rows = []
    for v in verdicts:
        m = v.measured
        low, high = (None, None) if m is None or m.single else (m.low, m.high)
        value, count = (None, 0) if m is None else (m.value, m.count)
        measured = {"measured": value, "measured_low": low, "measured_high": high, "datasets": count}
        rows.append({**_expectation(v.expectation), **measured, "answer": v.answer})
    head = {key: getattr(experiment, key) for key in ("name", "title", "source")}
    contradicts = experiment.contradicts or None
    return {**head, "expectations": rows, "answer": summary(verdicts), "contradicts": contradicts}


def about(experiment: Experiment) -> dict[str, Any]:
    """All that an experiment's file says, as JSON values."""
    return {
        **{key: getattr(experiment, key) for key in ("name", "title", "source", "question")},
        "contradicts": experiment.contradicts or None,
        "scenarios": [s.label for s in experiment.grid.scenarios],
        "methods": [m.label for m in experiment.grid.methods],
        "seeds": _seeds(experiment),
        "expectations": [_expectation(e) for e in experiment.expectations],
        "seen": experiment.seen and asdict(experiment.seen),
    }


def about_lines(experiment: Experiment) -> list[str]:
    """The same for people."""
    lines = [f"{experiment.name}: {experiment.title}", experiment.source, "", experiment.question]
    if experiment.contradicts:
        lines += ["", f"Against the source: {experiment.contradicts}"]
    scenarios, methods = experiment.grid.scenarios, experiment.grid.methods
    lines += ["", f"Runs {', '.join(m.label for m in methods)} on datasets {_seeds(experiment)} of"]
    lines += [f"  {scenario.label}" for scenario in scenarios]
    lines += ["", "Expects"]
    whys: dict[str, None] = {}
    for e in experiment.expectations:
        at = f" on {e.scenario}" if len(scenarios) > 1 else ""
        note = list(whys | {e.why: None}).index(e.why) + 1
        whys[e.why] = None
        lines.append(f"  {e.method}{at}: {_what(e)} {_range(e)} [{note}]")
    lines += ["", "because", *(f"  [{i}] {why}" for i, why in enumerate(whys, 1))]
    if experiment.seen is not None:
        seen = experiment.seen
        lines += ["", f"Seen with {seen.command} ({seen.versions})", *(f"  {line}" for line in seen.result)]
    return lines


def _seeds(experiment: Experiment) -> str:
    """The data seeds of all scenarios."""
    grid = experiment.grid
    return seeds_text(seed for scenario in grid.scenarios for seed in grid.seeds_of(scenario)[0])


def _expectation(e: Expectation) -> dict[str, Any]:
    """As JSON values: an end that is infinite is null."""
    ends = {"low": e.low, "high": e.high}
    return asdict(e) | {key: value if math.isfinite(value) else None for key, value in ends.items()}


def _what(e: Expectation) -> str:
    """`median mcc`, `share of mcc >= .95`."""
    return f"{e.statistic} {e.quantity}" if e.threshold is None else f"share of {e.quantity} >= {_short(e.threshold)}"


def _range(e: Expectation) -> str:
    """`.98 to 1`, `.15 or more`."""
    if math.isinf(e.high):
        return "any" if math.isinf(e.low) else f"{_short(e.low)} or more"
    return f"{_short(e.high)} or less" if math.isinf(e.low) else f"{_short(e.low)} to {_short(e.high)}"


def _short(value: float) -> str:
    text = f"{value:g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
