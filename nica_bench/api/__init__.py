"""The Python API: data, metrics, runs and their tables for a program or a notebook, by the code of the command line."""

from nica_bench.api.data import load, make_method, make_scenario
from nica_bench.api.estimators import wrap
from nica_bench.api.evaluation import Evaluation, evaluate, mcc
from nica_bench.api.results import Runs, Tables, read
from nica_bench.api.running import run

__all__ = [
    "Evaluation",
    "Runs",
    "Tables",
    "evaluate",
    "load",
    "make_method",
    "make_scenario",
    "mcc",
    "read",
    "run",
    "wrap",
]
