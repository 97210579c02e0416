"""Sweeps: a grid of runs as jobs of a cluster, through submitit."""

from nica_bench.sweep.clusters import Cluster, Debug, Local
from nica_bench.sweep.file import SweepFile, example, read_sweep
from nica_bench.sweep.grid import Flags, Made, make_grid
from nica_bench.sweep.journal import Array, Journal
from nica_bench.sweep.packing import Batch, Costs, pack
from nica_bench.sweep.resources import Resources, parse_memory, parse_time
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
    "Flags",
    "Journal",
    "Line",
    "Local",
    "Made",
    "Manner",
    "Overview",
    "Resources",
    "Slurm",
    "Sweep",
    "SweepFile",
    "Tally",
    "Watch",
    "cancel",
    "example",
    "make_grid",
    "overview",
    "pack",
    "parse_memory",
    "parse_time",
    "read_sweep",
]
