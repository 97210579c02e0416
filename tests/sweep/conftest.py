"""A sweep on a cluster that is played, and a PATH without Slurm."""

from __future__ import annotations

import pytest

from helpers.sweeps import Played
from nica_bench.records.store import Store
from nica_bench.sweep import Sweep


@pytest.fixture
def sweep(tmp_path):
    swept = Sweep(Store.open(tmp_path / "out"), lambda line: swept.lines.append(line), 0.0)
    swept.lines = []
    swept.played = swept._clusters["slurm"] = Played()
    return swept


@pytest.fixture
def no_slurm(tmp_path, monkeypatch):
    """A PATH on which the commands of Slurm are what a test writes there, and sbatch is missing at first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(name, text):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    return write
