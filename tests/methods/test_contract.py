"""Every built-in method keeps the contract, and a replicate's numbers do not depend on which others it was fitted with."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from helpers.methods import BUILT_IN, fit_each, shortened, small_scenario
from nica_bench.checking.methods import check_method
from nica_bench.registry import method_types

GROUPS = ([3, 1], [4, 2, 1, 0, 3])


@pytest.fixture(scope="module")
def datasets():
    """Datasets by scenario and seed, each made once."""
    made = {}

    def dataset(scenario, seed):
        if (scenario, seed) not in made:
            made[scenario, seed] = scenario.generate(seed)
        return made[scenario, seed]

    return dataset


def fits(name, scenario, datasets, seeds):
    method = shortened(name, steps=8, batch=50)
    seen = [(s, datasets(scenario, s).observations(method.side_information)) for s in seeds]
    return method, fit_each(method, seen, [0] * len(seeds))


def encoded(method, fitted, split):
    return fitted.encode(split.x, split.u if "u" in method.side_information else None)


def test_the_registry_finds_the_methods_of_every_file():
    files = {Path(inspect.getfile(method_types()[name])).name for name in BUILT_IN}
    folder = Path(inspect.getfile(method_types()[BUILT_IN[0]])).parent
    assert files == {file.name for file in folder.glob("*.py")} - {"__init__.py"}


def test_check_finds_nothing(name):
    owner, said = method_types()[name], []
    checks = check_method(owner, Path(inspect.getfile(owner)), said.append)
    assert [str(finding) for finding in checks.findings] == []
    assert not [line for line in said if "not tried" in line]
    assert checks.made >= 40, "all checks of a fit were made"


def test_a_replicate_is_the_same_to_the_last_bit_in_every_group(name, datasets):
    scenario = small_scenario(name)
    method, (alone,) = fits(name, scenario, datasets, [3])
    test = datasets(scenario, 3).test
    codes = encoded(method, alone, test)
    for seeds in GROUPS:
        _, group = fits(name, scenario, datasets, seeds)
        one, other = group[seeds.index(3)], group[0 if seeds[0] != 3 else 1]
        np.testing.assert_array_equal(codes, encoded(method, one, test))
        np.testing.assert_array_equal(alone.importance, one.importance)
        assert alone.heldout_loss == one.heldout_loss
        if alone.loss_curve is not None:
            np.testing.assert_array_equal(alone.loss_curve, one.loss_curve)
        if name != "raw-x":  # whose codes are x
            assert not np.array_equal(codes, encoded(method, other, test)), "another dataset gives another fit"
