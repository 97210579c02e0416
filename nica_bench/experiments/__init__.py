"""Experiments: files with recorded expectations, found by name, and whether the records of a run are as expected."""

from __future__ import annotations

from nica_bench.experiments.catalogue import experiment_names, make_experiment, open_grid_file
from nica_bench.experiments.experiment import STATISTICS, Expectation, Experiment, Seen
from nica_bench.experiments.reading import read_experiment
from nica_bench.experiments.verdicts import AS_EXPECTED, NOT_AS_EXPECTED, Verdict, judge, summary

__all__ = [
    "AS_EXPECTED",
    "NOT_AS_EXPECTED",
    "STATISTICS",
    "Expectation",
    "Experiment",
    "Seen",
    "Verdict",
    "experiment_names",
    "judge",
    "make_experiment",
    "open_grid_file",
    "read_experiment",
    "summary",
]
