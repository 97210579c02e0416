"""Parts of the tables of scores: the order of rows, intervals over datasets, and counts of failed runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nica_bench.stats import Estimate, Outcomes, wilson
from nica_bench.tables.table import Column, Row

__all__ = ["BOLD", "FAILED", "SIDE_INFO", "counts", "interval_of", "order", "section", "success_of"]

SIDE_INFO = Column("side info", lambda r: r["side_information"], right=False)
"""The side information that a method receives, as letters."""

FAILED = Column("failed", lambda r: f"{r['failed']}/{r['not_run']}/{r['runs']}", lambda r: r["failed"] + r["not_run"])
"""The numbers of `counts`."""

BOLD = " * (bold): better than every other method and baseline in the paired test (Wilcoxon, Holm-corrected, p < .05)."


def counts(outcomes: Sequence[Outcomes]) -> dict[str, int]:
    """Return the numbers of runs that failed, that were not run although other methods have them, and of all runs."""
    return {
        "failed": sum(o.failed for o in outcomes),
        "not_run": sum(o.missing for o in outcomes),
        "runs": sum(len(o.runs) for o in outcomes),
    }


def section(row: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return the section of a row: methods, then baselines, then supervised references."""
    return row["kind"] != "method", "z" in row["side_information"]


def order(row: Row, value: float | None) -> tuple[bool, bool, bool, float]:
    """Return the sort key of a row: by section, then methods that finished, then the largest value first."""
    return *section(row), not row["finished"], -(value or 0.0)


def interval_of(interval: Callable[..., Estimate], outcomes: Iterable[Outcomes]) -> Estimate | None:
    """Return an estimate over the datasets of one scenario, or of several scenarios as strata; None without values."""
    parts = [list(o.by_dataset().values()) for o in outcomes]
    values = [value for part in parts for value in part]
    strata = [i for i, part in enumerate(parts) for _ in part]
    return interval(values, strata) if values else None


def success_of(outcomes: Sequence[Outcomes], threshold: float) -> Estimate | None:
    """Return the share of runs that reach a threshold, with its Wilson interval; None without values."""
    if not any(o.by_dataset() for o in outcomes):
        return None
    return wilson([share for o in outcomes for share in o.success_by_dataset(threshold).values()])
