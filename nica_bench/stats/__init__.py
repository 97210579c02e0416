"""Statistics of scores over seeds, computed from records: aggregates with intervals, paired tests and profiles."""

from nica_bench.stats.blocks import Block, blocks_of
from nica_bench.stats.comparisons import Pair, best_of, compare_all
from nica_bench.stats.frames import frame_of
from nica_bench.stats.intervals import (
    Estimate,
    iqm,
    iqm_interval,
    mean_interval,
    median_interval,
    success_rate,
    wilson,
)
from nica_bench.stats.outcomes import Baseline, Outcomes
from nica_bench.stats.paired import Comparison, compare, holm
from nica_bench.stats.profiles import Profile, performance_profile
from nica_bench.stats.quantities import Quantity, quantities, quantity
from nica_bench.stats.series import Series
from nica_bench.stats.variance import VarianceSplit, split_variance

__all__ = [
    "Baseline",
    "Block",
    "Comparison",
    "Estimate",
    "Outcomes",
    "Pair",
    "Profile",
    "Quantity",
    "Series",
    "VarianceSplit",
    "best_of",
    "blocks_of",
    "compare",
    "compare_all",
    "frame_of",
    "holm",
    "iqm",
    "iqm_interval",
    "mean_interval",
    "median_interval",
    "performance_profile",
    "quantities",
    "quantity",
    "split_variance",
    "success_rate",
    "wilson",
]
