"""Image scenarios: their splits, their uprightness, and what they say of themselves."""

import numpy as np
import pytest

from helpers.images import shared_digits
from nica_bench.errors import UsageError
from nica_bench.images import COLLECTIONS, LabelledImages, as_rows, load
from nica_bench.records.store import Store
from nica_bench.registry import make_scenario
from nica_bench.running.grid import Grid
from nica_bench.running.runner import make_plan

SMALL = {"digits": "digits", "mnist": "mnist[samples=600,held_out=300]", "emnist-subset": "emnist-subset"}


@pytest.fixture(params=SMALL)
def scenario(request, monkeypatch):
    if request.param != "digits":
        monkeypatch.setenv("NICA_BENCH_DATA", str(shared_digits()))
    return make_scenario(SMALL[request.param])


def test_splits(scenario):
    data = scenario.generate(0)
    for split in data.splits:
        assert split.z is None
        assert split.x.dtype == np.float32
        assert split.x.min() == 0
        assert split.x.max() == 1
        assert set(split.u) == set(range(10))
    assert len(data.train.u) == scenario.samples
    assert len(data.validation.u) == scenario.held_out
    assert data.n_latents is None
    assert data.image_shape == scenario.image_shape == (1, scenario.side, scenario.side)
    rows = {split.x[i].tobytes() for split in data.splits[:2] for i in range(len(split.u))}
    assert len(rows) == scenario.samples + scenario.held_out  # nothing twice


def test_a_seed_is_a_split(scenario):
    first, again, other = scenario.generate(0), scenario.generate(0), scenario.generate(1)
    np.testing.assert_array_equal(first.validation.x, again.validation.x)
    assert not np.array_equal(first.validation.x, other.validation.x)
    if scenario.name == "mnist":
        np.testing.assert_array_equal(first.test.x, other.test.x)


def test_what_is_told(scenario):
    data = scenario.generate(0)
    seen = data.observations("un")
    assert seen.n_latents == scenario.stand_in_latents == data.truth["told_latents"]
    assert data.truth["latents"] is None
    assert data.truth["images"] == scenario.title
    assert data.truth["paper_latents"] is None  # EMNIST as a whole alone has a number in the paper
    assert any(scenario.title in line for line in scenario.warnings())


@pytest.mark.parametrize("name", ["digits[samples=1500]", "emnist-subset[samples=500]", "mnist[samples=55000]"])
def test_more_images_than_there_are(name, monkeypatch):
    if not name.startswith("digits"):
        monkeypatch.setenv("NICA_BENCH_DATA", str(shared_digits()))
    with pytest.raises(UsageError, match=r"has [0-9,]+ (training )?images, but samples="):
        make_scenario(name).generate(0)


def test_missing_files_are_told_before_anything_is_computed(tmp_path, monkeypatch):
    from nica_bench.registry import make_method

    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path / "nothing"))
    store = Store.open(tmp_path / "out")
    with pytest.raises(UsageError, match=r"mnist needs 4 files .*train-images.*'nica-bench data mnist'"):
        make_plan(Grid((make_scenario("mnist"),), (make_method("pca"),), (0,), 1), store, retry=set(), force=False)


def test_the_folder_of_the_data_is_no_part_of_the_key(monkeypatch, tmp_path):
    from nica_bench.registry import make_method
    from nica_bench.running.plan import make_runs

    def key():
        return make_runs([make_scenario("mnist")], [make_method("pca", {})], [0], 1)[0].spec.key

    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path))
    first = key()
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path / "other"))
    assert key() == first


def test_emnist_is_set_upright():
    """Upright MNIST's nearest neighbours read the images, and do not read them as they are stored."""
    from sklearn.neighbors import KNeighborsClassifier

    folder = shared_digits()
    train, _ = load(COLLECTIONS["mnist"], folder)
    _, subset = load(COLLECTIONS["emnist-subset"], folder)
    assert subset.transposed
    rows = np.arange(5_000)
    model = KNeighborsClassifier(3).fit(as_rows(train, rows), train.labels[rows])
    stored = LabelledImages(subset.images, subset.labels, transposed=False, verified=True)
    upright, lying = (np.mean(model.predict(as_rows(part)) == part.labels) for part in (subset, stored))
    assert upright > 0.6
    assert lying < 0.25


def test_images_become_rows_exactly():
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(7, 3, 4)).astype(np.uint8)
    labels = np.zeros(7, np.uint8)
    plain = as_rows(LabelledImages(images, labels, transposed=False, verified=True), np.array([2, 0]))
    np.testing.assert_array_equal(plain, (images[[2, 0]] / np.float32(255)).reshape(2, 12).astype(np.float32))
    turned = as_rows(LabelledImages(images, labels, transposed=True, verified=True))
    np.testing.assert_array_equal(turned.reshape(7, 4, 3), plain_of(images).transpose(0, 2, 1))


def plain_of(images):
    return (images / np.float32(255)).astype(np.float32)
