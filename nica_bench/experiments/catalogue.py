"""Finding experiments: those that come with the package, and files given by path."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.experiments.experiment import Experiment
from nica_bench.experiments.reading import read_experiment

__all__ = ["experiment_names", "make_experiment"]

_SUFFIX = ".toml"


def experiment_names() -> list[str]:
    """Names of the experiments that come with the package: of the files beside this module."""
    return sorted(f.name.removesuffix(_SUFFIX) for f in files(__package__).iterdir() if f.name.endswith(_SUFFIX))


def make_experiment(text: str) -> Experiment:
    """An experiment from its name, or from the path of a file that ends in .toml.

    Raises:
        UsageError: for an unknown name (the nearest are offered), or a file that is not there or not as it should be.
    """
    if text.endswith(_SUFFIX):
        path = Path(text)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"experiment file {text} cannot be read: {error.strerror or error}") from error
        return read_experiment(path.name.removesuffix(_SUFFIX), data, text)
    known = experiment_names()
    if text not in known:
        raise UsageError(f"unknown experiment '{text}'; {did_you_mean(text, known)}")
    return read_experiment(text, (files(__package__) / f"{text}{_SUFFIX}").read_bytes(), f"{text}{_SUFFIX}")
