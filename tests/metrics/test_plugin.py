"""Metrics that are added: their declaration, what becomes of one that fails, and what a run does with them."""

import math

import numpy as np
import pytest

from helpers.cli import SMALL, nica, records
from nica_bench import Metric, Sample, UsageError
from nica_bench.metrics import check_metric_declaration, plug_in_scores
from nica_bench.registry import chosen_metrics, load_metric_file

FILE = """
import numpy as np
from nica_bench import Metric

def compute(validation, test, importance):
    return float(len(importance) + test.z.shape[1] / 10)

width = Metric("width", "number of codes, and of latents over ten", 0, 100, None, needs_latents=False, compute=compute)
"""


def sample(columns=2):
    rng = np.random.default_rng(0)
    return Sample(rng.normal(size=(50, columns)), rng.normal(size=(50, 3)), np.zeros(50, int))


def metric(compute, **changes):
    return Metric(
        **({"name": "mine", "description": "", "low": 0, "high": 1, "higher_is_better": True} | changes),
        compute=compute,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "mcc"}, "nica-bench has a metric 'mcc' of its own"),
        ({"name": "My Metric"}, "small letters"),
        ({"low": 1}, "needs a range with low < high"),
        ({"chance": 2.0}, "chance level of mine lies in its range 0 to 1, got 2.0"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        check_metric_declaration(metric(lambda v, t, i: 0.0, **changes), "file.py")


def test_what_is_no_metric_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected an instance of Metric with compute, got Metric"):
        check_metric_declaration(metric(None), "file.py")
    (tmp_path / "none.py").write_text("x = 1\n")
    with pytest.raises(UsageError, match="defines no metric"):
        load_metric_file(tmp_path / "none.py")
    with pytest.raises(UsageError, match="two metrics are called 'mine'"):
        chosen_metrics([metric(lambda v, t, i: 0.0), metric(lambda v, t, i: 1.0)])


def test_a_metric_sees_both_samples_and_the_ranking():
    seen = []

    def compute(validation, test, importance):
        seen.append((validation, test, importance))
        test.codes[:] = 0
        return 0.25

    first, second, importance = sample(), sample(), np.arange(3.0)
    codes = second.codes.copy()
    assert plug_in_scores([metric(compute)], first, second, importance) == ({"mine": 0.25}, [])
    [(validation, test, ranking)] = seen
    np.testing.assert_array_equal(validation.z, first.z)
    np.testing.assert_array_equal(ranking, importance)
    np.testing.assert_array_equal(second.codes, codes)  # what it does to its copies is its own
    assert not test.codes.any()


@pytest.mark.parametrize(
    ("value", "note"),
    [(1.5, "expected a number in 0 to 1, got 1.5"), (math.nan, "got nan"), (None, "TypeError")],
)
def test_a_metric_that_fails_leaves_the_others(value, note):
    good = metric(lambda v, t, i: 0.5, name="good")
    values, notes = plug_in_scores([metric(lambda v, t, i: value), good], sample(), sample(), np.ones(3))
    assert values == {"mine": None, "good": 0.5}
    assert len(notes) == 1
    assert note in notes[0]


def test_without_latents_only_those_are_computed_that_need_none():
    empty = Sample(np.zeros((50, 0)), np.ones((50, 3)), np.zeros(50, int))
    both = [metric(lambda v, t, i: 1.0), metric(lambda v, t, i: 1.0, name="free", needs_latents=False)]
    assert plug_in_scores(both, empty, empty, np.ones(3)) == ({"mine": None, "free": 1.0}, [])


def test_a_run_computes_the_metrics_of_a_file_under_the_same_keys(tmp_path):
    (tmp_path / "width.py").write_text(FILE)
    run = ["run", "-s", "gauss-2of4", *SMALL, "-m", "pca", "--seeds", "0:2", "--out", "out"]
    assert nica(*run, cwd=tmp_path).returncode == 0
    before = records(tmp_path / "out")
    assert nica(*run, "--metric", "./width.py", cwd=tmp_path).returncode == 0
    assert all("width" not in r["scores"] for r in records(tmp_path / "out").values())
    missing = nica("table", "--out", "out", "--metric", "./width.py", cwd=tmp_path)
    assert missing.returncode == 2
    assert "no record has the metric 'width'" in missing.stderr
    assert nica(*run[:-4], "--seeds", "0", "--out", "out", "--force", "-M", "./width.py", cwd=tmp_path).returncode == 0
    after = records(tmp_path / "out")
    assert after.keys() == before.keys()
    assert after["pca", 0, 0]["key"] == before["pca", 0, 0]["key"]
    assert after["pca", 0, 0]["scores"] == {**before["pca", 0, 0]["scores"], "width": 4.2}
    table = nica("table", "--out", "out", "--metric", "./width.py", cwd=tmp_path)
    assert "4.200" in table.stdout
    assert "number of codes" in " ".join(table.stdout.split())
    assert "1 of 2 runs have no width" in table.stderr
