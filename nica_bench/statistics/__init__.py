"""Statistics of scores over seeds: aggregates with intervals, and methods in pairs. They read numbers only."""

from nica_bench.statistics.intervals import (
    Estimate,
    iqm,
    iqm_interval,
    mean_interval,
    median_interval,
    success_rate,
)
from nica_bench.statistics.paired import Comparison, compare, holm

__all__ = [
    "Comparison",
    "Estimate",
    "compare",
    "holm",
    "iqm",
    "iqm_interval",
    "mean_interval",
    "median_interval",
    "success_rate",
]
