"""Image scenarios on real files."""

from pathlib import Path

import numpy as np
import pytest

from nica_bench.errors import UsageError
from nica_bench.registry import make_scenario

FILES = Path(__file__).parents[3] / "shared" / "digits"


@pytest.fixture
def files(monkeypatch):
    if not FILES.is_dir():
        pytest.skip("../shared/digits is not there")
    monkeypatch.setenv("NICA_BENCH_DATA", str(FILES))


def test_digits_are_split_by_the_seed():
    scenario = make_scenario("digits")
    data = scenario.generate(0)
    assert (data.latents, data.image_shape, data.conditions) == (None, (1, 8, 8), 10)
    assert [s.x.shape for s in data.splits] == [(1197, 64), (300, 64), (300, 64)]
    assert all(s.z is None for s in data.splits)
    assert 0 <= data.train.x.min() < data.train.x.max() <= 1
    again, other = scenario.generate(0), scenario.generate(1)
    np.testing.assert_array_equal(data.validation.x, again.validation.x)
    assert not np.array_equal(data.validation.u, other.validation.u)
    rows = np.vstack([s.x for s in data.splits])
    from sklearn.datasets import load_digits

    assert len(np.unique(rows, axis=0)) == len(np.unique(load_digits().data, axis=0)), "no image stands in two splits"
    with pytest.raises(UsageError, match="ask for"):
        make_scenario("digits[samples=1700]").generate(0)


def test_mnist_keeps_its_test_images(files):
    scenario = make_scenario("mnist[samples=500,held_out=200]")
    data = scenario.generate(3)
    assert [len(s.u) for s in data.splits] == [500, 200, 10_000]
    assert data.truth["images"] == "MNIST"
    assert data.truth["verified"] is True
    assert data.truth["paper_latents"] is None
    np.testing.assert_array_equal(data.test.x, make_scenario("mnist[samples=500,held_out=200]").generate(4).test.x)


def test_the_subset_of_emnist_is_upright(files):
    """A classifier of MNIST's upright digits reads them, and does not read them as they are stored."""
    from sklearn.neighbors import KNeighborsClassifier

    mnist = make_scenario("mnist[samples=4000,held_out=100]").generate(0)
    subset = make_scenario("emnist-subset").generate(0)
    assert "subset" in subset.truth["images"]
    model = KNeighborsClassifier(3).fit(mnist.train.x, mnist.train.u)
    upright = model.score(subset.train.x, subset.train.u)
    stored = subset.train.x.reshape(-1, 28, 28).transpose(0, 2, 1).reshape(-1, 784)
    assert upright > 0.5, "the digits fill more of the frame than MNIST's"
    assert model.score(stored, subset.train.u) < upright - 0.3


def test_files_that_are_missing_are_named_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path))
    assert "nica-bench data mnist" in (make_scenario("mnist").unavailable() or "")
    assert make_scenario("digits").unavailable() is None
