"""Checkpoints and weights in the folder of a run."""

import numpy as np
import pytest

from nica_bench.method import Interrupted
from nica_bench.metrics import top_codes
from nica_bench.records.record import Status
from nica_bench.records.store import Store, StoreError
from nica_bench.registry import make_method, make_scenario
from nica_bench.running.plan import Group, make_runs
from nica_bench.running.work import Setting, run_group


def run(folder, method, scenario, seeds=(0,), stop=None, **setting):
    """Run a group in this process; `stop` is how often its fits may ask before they are interrupted."""
    store = Store.open(folder)
    group = Group(tuple(make_runs([scenario], [method], seeds, 1)))
    asked = iter(range(stop if stop is not None else 10**9))
    run_group(
        group,
        Setting(str(folder), "cpu", False, ("nica-bench",), **setting),
        lambda *event: None,
        lambda: next(asked, None) is None,
    )
    return store, [c.spec.key for c in group.runs]


def contents(store, keys):
    """What is the same for every run of the runs."""
    found = []
    for key in keys:
        record = store.read(key)
        found.append((record.status, record.scores, record.dimensions, record.training, record.notes, record.arrays))
    return found


@pytest.mark.parametrize(
    ("method", "scenario", "seeds"),
    [
        ("gin-conv[steps=24,batch=50]", "digits[samples=300,held_out=100]", (0,)),
        ("gin[steps=80,batch=100]", "gauss-2of4[samples=300,held_out=100]", (0, 1)),
    ],
)
def test_an_interrupted_run_leaves_a_checkpoint_and_ends_in_the_same_record(tmp_path, method, scenario, seeds):
    method, scenario = make_method(method), make_scenario(scenario)
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", method, scenario, seeds, stop=13)
    checkpoints = tmp_path / "cut" / "checkpoints"
    assert len(list(checkpoints.iterdir())) == 1
    store, keys = run(tmp_path / "cut", method, scenario, seeds)
    assert list(checkpoints.iterdir()) == []
    whole, _ = run(tmp_path / "whole", method, scenario, seeds)
    assert all(status is Status.OK for status, *_ in contents(store, keys))
    assert contents(store, keys) == contents(whole, keys)  # arrays by their digest


def test_weights_of_images_are_kept_and_rebuild_the_fit(tmp_path):
    method, scenario = make_method("gin-conv[steps=3,batch=50]"), make_scenario("digits[samples=300,held_out=100]")
    store, (key,) = run(tmp_path, method, scenario)
    codec = method.restore(store.weights(key), scenario)
    test = scenario.generate(0).test
    arrays = store.arrays(key)
    leading = top_codes(arrays["importance"], arrays["leading_codes"].shape[1])
    np.testing.assert_array_equal(codec.encode(test.x, test.u)[:, leading], arrays["leading_codes"])
    assert arrays["history_spectrum"].shape == (len(arrays["history_step"]), 64)
    path = tmp_path / "weights" / f"{key}.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StoreError, match=f"{key}.safetensors: expected a whole safetensors file, found"):
        store.weights(key)


def test_weights_of_vectors_are_kept_where_asked_for(tmp_path):
    method, scenario = make_method("gin[steps=3]"), make_scenario("gauss-2of4[samples=300,held_out=100]")
    store, (key,) = run(tmp_path / "without", method, scenario)
    with pytest.raises(StoreError, match="no weights were kept of this run"):
        store.weights(key)
    store, (key,) = run(tmp_path / "with", method, scenario, weights=True)
    assert method.restore(store.weights(key), scenario) is not None
