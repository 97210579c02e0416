"""An experiment: what is run, what is expected of it, and why."""

from __future__ import annotations

from dataclasses import dataclass

from nica_bench.running.grid import Grid

__all__ = ["STATISTICS", "Expectation", "Experiment", "Seen"]

STATISTICS = ("median", "iqm", "mean", "share")
"""What may be expected of a quantity over datasets; a share is that of the datasets which reach a threshold."""


@dataclass(frozen=True)
class Expectation:
    """In what range a number of an experiment is expected.

    Args:
        scenario, method: labels of what it is about.
        quantity: a metric or another quantity of a record.
        statistic: one of `STATISTICS`.
        threshold: from which a value counts, for a share; else None.
        low, high: the range, ends included; an end may be infinite.
        why: where the range comes from.
    """

    scenario: str
    method: str
    quantity: str
    statistic: str
    threshold: float | None
    low: float
    high: float
    why: str


@dataclass(frozen=True)
class Seen:
    """What a run of the experiment gave.

    Args:
        command: the run.
        versions: of what it was made with.
        result: lines for people.
    """

    command: str
    versions: str
    result: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """What is run, and what is expected of it.

    Args:
        name: its name on the command line.
        title, source, question: for people; the source is a figure, table or section.
        grid: the scenarios, methods and seeds.
        expectations: at least one, in the order of the scenarios.
        contradicts: how what is found here contradicts the source; empty where it does not.
        seen: what a run gave, or None.
    """

    name: str
    title: str
    source: str
    question: str
    grid: Grid
    expectations: tuple[Expectation, ...]
    contradicts: str = ""
    seen: Seen | None = None
