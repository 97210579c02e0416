"""A folder of records of two scenarios, for all tests of tables."""

from __future__ import annotations

import pytest

from helpers.results import some, written


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Only to be read."""
    records = some() + some(methods=("gin", "pca", "raw-x"), conditions=5)
    return written(tmp_path_factory.mktemp("tables") / "out", records)
