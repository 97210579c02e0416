"""What can be put into a table: the metrics, and what a fit cost and reached besides."""

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
        name: its name in tables.
        description: one line for people, with the unit where it has one.
        low, high: its range, ends included.
        higher_is_better: None where neither end is good.
        scored: it is a score of the codes, so a run that failed has one too: that of the baseline.
        of: the number of a record, or None where it has none.
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
        """The good end of the range."""
        return self.low if self.higher_is_better is False else self.high

    @property
    def worst(self) -> float:
        """What a failure scores where there is no baseline: 0, or the bad end of a range that has no 0 to offer."""
        return self.high if self.higher_is_better is False else max(self.low, 0.0)

    def better(self, a: float, b: float) -> bool:
        """Whether a is better than b; never where neither end is good."""
        if self.higher_is_better is None:
            return False
        return a > b if self.higher_is_better else a < b

    def adjusted(self, value: float, baseline: float) -> float | None:
        """Return the share of the way from the baseline to 1: (m - baseline) / (1 - baseline).

        Args:
            value: m, of any size.
            baseline: what is reached without learning.

        Returns:
            1 at perfection, 0 at the baseline, negative below it; None where the baseline is perfect already.
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
        "heldout_loss", "loss on validation data, nats a dimension", -math.inf, math.inf, False, False,
        _of("training", "heldout_loss"),
    ),
    Quantity("seconds", "wall seconds of the fit, a dataset", 0, math.inf, False, False, _of("cost", "wall_seconds")),
    Quantity("cpu_seconds", "CPU seconds of the fit, a dataset", 0, math.inf, False, False, _of("cost", "cpu_seconds")),
    Quantity(
        "peak_memory_bytes", "largest resident memory of the process, bytes", 0, math.inf, False, False,
        _of("cost", "peak_memory_bytes"),
    ),
)  # fmt: skip


def quantities(records: Iterable[Record] = ()) -> dict[str, Quantity]:
    """All quantities by name: the metrics, the others, and scores of the records that no metric here describes."""
    known = {
        m.name: Quantity(m.name, m.description, m.low, m.high, m.higher_is_better, True, _of_score(m.name))
        for m in METRICS.values()
    }
    known.update({q.name: q for q in _OTHERS})
    for name in sorted({name for r in records for name in r.scores} - known.keys()):
        known[name] = Quantity(
            name, "a score that this version does not describe", -math.inf, math.inf, None, False, _of_score(name)
        )
    return known


def quantity(name: str, records: Iterable[Record] = (), metric: Metric | None = None) -> Quantity:
    """A quantity by its name, or that of a metric which is added to those of nica-bench.

    Raises:
        UsageError: where there is none, with the nearest that there are.
    """
    if metric is not None:
        low, high, better = metric.low, metric.high, metric.higher_is_better
        return Quantity(metric.name, metric.description, low, high, better, True, _of_score(metric.name))
    if name in METRICS:
        return quantities()[name]
    known = quantities(records)
    if name not in known:
        raise UsageError(f"unknown metric '{name}'; {did_you_mean(name, known)}")
    return known[name]
