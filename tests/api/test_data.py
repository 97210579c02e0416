"""Data and methods by name, file or object."""

import numpy as np
import pytest

import nica_bench as nb
from nica_bench.registry import make_scenario

SMALL = {"conditions": 3, "samples": 400, "held_out": 200}


def test_load_gives_the_data_of_the_command_line():
    data = nb.load("gauss-2of4", seed=3, **SMALL)
    same = make_scenario("gauss-2of4[conditions=3,samples=400,held_out=200]").generate(3)
    np.testing.assert_array_equal(data.train.x, same.train.x)
    assert (data.train.x.shape, data.train.u.shape, data.test.z.shape) == ((400, 4), (400,), (200, 2))
    ranged = nb.make_scenario("gauss-2of4[conditions=3]", samples=500)
    assert ranged.label == "gauss-2of4[conditions=3,samples=500]"


def test_load_reads_a_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(100, 3))
    np.savez(tmp_path / "d.npz", x=x, z=x[:, :2])
    data = nb.load(tmp_path / "d.npz", seed=1, held_out=0.1)
    assert [len(split.x) for split in data.splits] == [80, 10, 10]
    np.testing.assert_array_equal(data.test.x[:, :2], data.test.z)


def test_what_is_wrong_is_named():
    with pytest.raises(nb.UsageError, match="did you mean 'gauss'"):
        nb.load("gaus-2of4")
    with pytest.raises(nb.UsageError, match="has no parameter 'condition'; did you mean 'conditions'"):
        nb.load("gauss-2of4", condition=3)
    with pytest.raises(nb.UsageError, match="a seed is a whole number >= 0, got -1"):
        nb.load("gauss-2of4", seed=-1)
    with pytest.raises(nb.UsageError, match="got int"):
        nb.make_scenario(3)
    with pytest.raises(nb.UsageError, match="lr is a number > 0, got -1"):
        nb.make_method("gin", lr=-1)


def test_a_method_with_parameters():
    assert nb.make_method("gin", lr=0.001).label == "gin[lr=0.001]"


def test_a_dataset_is_a_scenario_that_its_content_identifies():
    data = nb.load("gauss-2of4", **SMALL)
    scenario = nb.make_scenario(data, name="mine")
    assert scenario.generate(5) is data
    assert (scenario.label, scenario.n_latents, scenario.samples) == ("mine", 2, 400)
    assert scenario == nb.make_scenario(nb.load("gauss-2of4", **SMALL), name="mine")
    other = nb.make_scenario(nb.load("gauss-2of4", seed=1, **SMALL), name="mine")
    assert other.fingerprint() != scenario.fingerprint()
    with pytest.raises(nb.UsageError, match="a dataset has no parameters"):
        nb.make_scenario(data, conditions=3)
