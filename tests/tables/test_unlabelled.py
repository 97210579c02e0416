"""Scenarios of images whose latents are unknown have a table of their own, whatever became of their runs."""

from __future__ import annotations

import pytest

from helpers.results import record, written
from nica_bench.records.collection import collect
from nica_bench.stats import blocks_of
from nica_bench.tables import overviews

IMAGES = {"n_latents": None, "n_observed": 784, "image_shape": (1, 28, 28)}


@pytest.mark.parametrize("status", ["ok", "error", "timeout"])
def test_images_have_the_table_of_images_even_where_all_runs_failed(tmp_path, status):
    scores = {"mcc": None, "bits": -3.0} if status == "ok" else {}
    records = [
        record(method, seed, status=status, scores=scores, **IMAGES) for method in ("gin", "pca") for seed in (0, 1)
    ]
    assert all(block.unlabelled for block in blocks_of(records)[0])
    [table] = overviews(collect([written(tmp_path, records)]).records)
    headings = [column.head for column in table.columns]
    assert "bits/dim" in headings
    assert [row["failed"] for row in table.rows] == [0 if status == "ok" else 2] * 2


def test_known_latents_have_their_table_even_where_all_runs_failed():
    [table] = overviews([record("gin", seed, status="error") for seed in range(3)])
    assert "bits/dim" not in [column.head for column in table.columns]
    assert not any(block.unlabelled for block in blocks_of([record("gin", 0, status="error")])[0])
