"""Sweeps: a grid of runs as jobs of a cluster, through submitit."""

from nica_bench.sweep.clusters import Cluster, Debug, Local
from nica_bench.sweep.journal import Array, Journal
from nica_bench.sweep.order import Order, carry_out, make_order
from nica_bench.sweep.packing import Batch, Costs, pack
from nica_bench.sweep.slurm import Slurm
from nica_bench.sweep.status import Line, Overview, overview
from nica_bench.sweep.sweeping import CLUSTERS, Manner, Sweep, cancel
from nica_bench.sweep.watching import Tally, Watch

__all__ = [
    "CLUSTERS",
    "Array",
    "Batch",
    "Cluster",
    "Costs",
    "Debug",
    "Journal",
    "Line",
    "Local",
    "Manner",
    "Order",
    "Overview",
    "Slurm",
    "Sweep",
    "Tally",
    "Watch",
    "cancel",
    "carry_out",
    "make_order",
    "overview",
    "pack",
]
