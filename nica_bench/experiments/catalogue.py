"""Finding experiments: those that come with the package, and files given by path."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.experiments.experiment import Experiment
from nica_bench.experiments.reading import read_experiment
from nica_bench.running.gridfile import GridFile, parse_grid_file, read_grid_file

__all__ = ["experiment_names", "make_experiment", "open_grid_file"]

_SUFFIX = ".toml"


def experiment_names() -> list[str]:
    """Names of the experiments that come with the package: of the files beside this module."""
    return sorted(f.name.removesuffix(_SUFFIX) for f in files(__package__).iterdir() if f.name.endswith(_SUFFIX))


def open_grid_file(text: str) -> GridFile:
    """A file that says what is run, from the name of an experiment or from the path of a file.

    Raises:
        UsageError: for an unknown name (the nearest are offered), or a file that is not there or not as it should be.
    """
    known = experiment_names()
    if text not in known:
        if text.endswith(_SUFFIX) or Path(text).is_file():
            return read_grid_file(Path(text))
        raise UsageError(f"unknown experiment '{text}'; {did_you_mean(text, known)}")
    return parse_grid_file((files(__package__) / f"{text}{_SUFFIX}").read_bytes(), f"{text}{_SUFFIX}")


def make_experiment(text: str) -> Experiment:
    """An experiment, from what `open_grid_file` takes. Raises UsageError, also for a file without expectations."""
    file = open_grid_file(text)
    experiment = read_experiment(file)
    if experiment is None:
        raise file.table.wrong("expect", "one table [[expect]] or more")
    return experiment
