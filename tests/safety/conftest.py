"""A small folder of real records, and the command line called in this process."""

from __future__ import annotations

import shutil
import sys

import pytest

from helpers.results import some, written
from nica_bench.cli import main


@pytest.fixture(scope="session")
def clean_folder(tmp_path_factory):
    """Records of three methods on three datasets, with arrays."""
    folder = tmp_path_factory.mktemp("clean") / "records"
    return written(folder, some(range(3), ("gin", "pca", "raw-x")), with_arrays=True)


@pytest.fixture
def folder(clean_folder, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(clean_folder, tmp_path / "records")


@pytest.fixture
def call(capsys, monkeypatch):
    """Call the command line; returns its exit code, stdout and stderr."""

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["nica-bench", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    monkeypatch.setenv("COLUMNS", "200")
    return called
