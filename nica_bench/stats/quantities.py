"""The quantities of a record that tables and figures show: its metrics, its costs and its loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.metrics import METRICS, Metric
from nica_bench.records.record import Record

__all__ = ["Quantity", "quantities", "quantity"]


@dataclass(frozen=True)
class Quantity:
    """A number of a record.

    Args:
        name: the name in tables.
        description: one line, with the unit if there is one.
        low, high: the range, ends included.
        higher_is_better: None if neither end is better.
        scored: whether it is a score of the codes; a failed run then has the score of the baseline.
        of: the function that returns the value of a record, or None if the record has none.
    """

    name: str
    description: str
    low: float
    high: float
    higher_is_better: bool | None
    scored: bool
    of: Callable[[Record], float | None]

    @property
    def best(self) -> float:
        """The better end of the range."""
        return self.low if self.higher_is_better is False else self.high

    @property
    def worst(self) -> float:
        """The score of a failed run if there is no baseline: 0, or the worse end of a range without 0."""
        return self.high if self.higher_is_better is False else max(self.low, 0.0)

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is better than `b`; False if neither end of the range is better."""
        if self.higher_is_better is None:
            return False
        return a > b if self.higher_is_better else a < b

    def normalised(self, value: float, baseline: float) -> float | None:
        """Return a value normalised by the baseline: (value - baseline) / (best - baseline).

        Args:
            value: the value, which may be outside the range.
            baseline: the value of the baseline.

        Returns:
            0 at the baseline, 1 at the best end of the range, negative below the baseline; None if neither end is
            better, the best end is infinite, or the baseline reaches it.
        """
        if self.higher_is_better is None or not math.isfinite(self.best) or math.isclose(baseline, self.best):
            return None
        return (value - baseline) / (self.best - baseline)


def _of_score(name: str) -> Callable[[Record], float | None]:
    return lambda record: record.scores.get(name)


def _of(part: str, name: str) -> Callable[[Record], float | None]:
    def value(record: Record) -> float | None:
        number = getattr(record, part).get(name)
        return float(number) if isinstance(number, (int, float)) and math.isfinite(number) else None

    return value


_OTHERS = (
    Quantity(
        "heldout_loss", "loss on validation data in nats per dimension", -math.inf, math.inf, False, False,
        _of("training", "heldout_loss"),
    ),
    Quantity(
        "seconds", "wall time of the fit in seconds per dataset", 0, math.inf, False, False,
        _of("cost", "wall_seconds"),
    ),
    Quantity(
        "cpu_seconds", "CPU time of the fit in seconds per dataset", 0, math.inf, False, False,
        _of("cost", "cpu_seconds"),
    ),
    Quantity(
        "peak_memory_bytes", "largest resident memory of the process in bytes", 0, math.inf, False, False,
        _of("cost", "peak_memory_bytes"),
    ),
)  # fmt: skip


_ALIASES = {
    "adj": "mcc", "adjusted": "mcc", "norm.": "mcc", "MCC": "mcc", "within": "mcc_within", "best": "mcc_best",
    "any": "mcc_best", "dim": "dimension_correct", "dim acc": "dimension_correct", "bits/dim": "bits",
    "Bayes": "bayes", "s": "seconds", "time": "seconds", "moved": "knee_moved",
}  # fmt: skip
"""The quantities behind headers of tables, those of earlier versions included."""


def quantities(records: Iterable[Record] = ()) -> dict[str, Quantity]:
    """Return all quantities by name: metrics, costs, losses, and scores of the records that are no known metric."""
    known = {
        m.name: Quantity(m.name, m.description, m.low, m.high, m.higher_is_better, True, _of_score(m.name))
        for m in METRICS.values()
    }
    known.update({q.name: q for q in _OTHERS})
    for name in sorted({name for r in records for name in r.scores} - known.keys()):
        known[name] = Quantity(
            name, "a score without a description in this version", -math.inf, math.inf, None, False, _of_score(name)
        )
    return known


def quantity(name: str, records: Iterable[Record] = (), metric: Metric | None = None) -> Quantity:
    """Return a quantity by its name, or that of an added metric.

    Headers of tables and names of earlier versions are understood as well.

    Raises:
        UsageError: if there is no such quantity; the message names the nearest one.
    """
    if metric is not None:
        low, high, better = metric.low, metric.high, metric.higher_is_better
        return Quantity(metric.name, metric.description, low, high, better, True, _of_score(metric.name))
    name = _ALIASES.get(name, name)
    known = quantities() if name in METRICS else quantities(records)
    if name not in known:
        raise UsageError(f"unknown metric '{name}'; {did_you_mean(name, known)}")
    return known[name]
