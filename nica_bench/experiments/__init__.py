"""Experiments with a recorded expectation: a file each, found by name, and whether a run's records are as expected."""

from __future__ import annotations

from nica_bench.experiments.catalogue import experiment_names, make_experiment
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
    "read_experiment",
    "summary",
]
