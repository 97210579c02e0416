"""The resolver: one grid from options, a file and defaults, for texts and for objects."""

from __future__ import annotations

import numpy as np
import pytest

from nica_bench.errors import UsageError
from nica_bench.registry import make_method, make_scenario, method_types
from nica_bench.running.axis import Axis
from nica_bench.running.grid import Grid, Request, dotted_parameters, resolve
from nica_bench.running.plan import make_runs, unfit


def labels(things):
    return [thing.label for thing in things]


def test_objects_and_texts_give_the_same_runs():
    scenario, method = make_scenario("gauss-2of4[noise=0.5]"), make_method("gin[lr=0.01]")
    given = resolve(Request([scenario], [method], seeds=np.arange(3), training_seeds=2))
    written = resolve(Request(["gauss-2of4[noise=0.5]"], ["gin[lr=0.01]"], seeds=range(3), training_seeds=2))
    assert [run.spec.key for run in given.runs()] == [run.spec.key for run in written.runs()]
    assert given.seeds == (0, 1, 2)
    assert all(type(seed) is int for seed in given.seeds)
    assert given.texts == written.texts == {scenario: scenario.label, method: method.label}
    assert given.size == len(given.runs()) == 6


def test_each_scenario_has_its_own_default_seeds():
    grid = resolve(Request(["gauss-2of4", "digits"], ["pca"]))
    counted = {s.name: len([run for run in grid.runs() if run.scenario is s]) for s in grid.scenarios}
    assert counted == {"gauss-2of4": 10, "digits": 2}
    assert grid.size == 12


def test_default_methods_are_those_that_can_run_on_a_scenario_and_named_ones_are_kept():
    grid = resolve(Request(["digits"]))
    default = {name for name, method in method_types().items() if method.default}
    assert 0 < len(grid.methods) < len(default)
    assert all(unfit(method, grid.scenarios[0]) is None for method in grid.methods)
    assert labels(resolve(Request(["digits"], ["linear-oracle"])).methods) == ["linear-oracle"]


def test_what_is_given_twice_is_run_once():
    grid = resolve(Request(["gauss-2of4", "gauss-2of4[noise=0.01]"], ["pca", "pca"], seeds=[0]))
    assert (labels(grid.scenarios), labels(grid.methods)) == (["gauss-2of4"], ["pca"])


def test_precedence_of_brackets_and_parameters():
    parameters = {"scenario_parameters": {"noise": ("0.2",)}, "method_parameters": {"gin": {"lr": "0.2"}}}
    named = resolve(Request(["gauss-2of4[noise=0.3]"], ["gin[lr=0.3]"], **parameters))
    assert labels([*named.scenarios, *named.methods]) == ["gauss-2of4[noise=0.3]", "gin[lr=0.3]"]
    file = Request(["gauss-2of4[noise=0.3]"], ["gin[lr=0.3]"], {"noise": ("0.1",)}, {"gin": {"lr": "0.1"}})
    of_file = resolve(Request(), file)
    assert labels([*of_file.scenarios, *of_file.methods]) == ["gauss-2of4[noise=0.3]", "gin[lr=0.3]"]
    options = resolve(Request(**parameters), file)
    assert labels([*options.scenarios, *options.methods]) == ["gauss-2of4[noise=0.2]", "gin[lr=0.2]"]


def test_a_grid_is_the_product_of_its_values():
    axis = Axis("gauss-2of4", {"noise": ("0.1", "0.2"), "conditions": ("3", "4", "5")})
    grid = resolve(Request([axis], ["pca"], {"samples": ("50", "60")}, seeds=[1, 2]))
    runs = make_runs(grid.scenarios, grid.methods, [1, 2], 1)
    assert (axis.size, len(grid.scenarios), grid.size) == (6, 12, 24)
    assert [run.spec.key for run in grid.runs()] == [run.spec.key for run in runs]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request(), "no scenario is named"),
        (Request(["gauss-2of4"], seeds=[]), "one or more, got none"),
        (Request(["gauss-2of4"], seeds=[0, -1]), "seeds are whole numbers >= 0, one or more, got -1"),
        (Request(["gauss-2of4"], seeds=[0.5]), "seeds are whole numbers: 'float' object"),
        (Request(["gauss-2of4"], training_seeds=0), "expected at least 1 training seed, got 0"),
        (Request(["digits"], ["pca"], {"conditions": ("3",)}), "digits has no parameter 'conditions'; known: "),
        (Request(["gauss-2of4"], ["pca"], method_parameters={"gin": {"lr": "1"}}), "'gin' is not among the methods"),
        (Request(["gauss-2of4"], ["pca"], seeds=range(101), training_seeds=1000), "101,000 runs"),
    ],
)
def test_refused(request_, says):
    with pytest.raises(UsageError) as error:
        resolve(request_)
    assert says in str(error.value)


def test_the_limit_counts_runs_before_any_is_made():
    request = Request(["gauss-2of4"], ["pca", "gin"], seeds=range(10))
    assert resolve(request, limit=20).size == 20
    with pytest.raises(UsageError, match="the grid has 20 runs, and more than 19"):
        resolve(request, limit=19)
    assert resolve(request, limit=None).size == 20


def test_modules_are_the_files_of_the_grid(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from nica_bench.methods.baselines import RawX\n\n\nclass Mine(RawX):\n    name = 'mine'\n")
    grid = resolve(Request(["gauss-2of4"], [str(file), "pca"]))
    assert grid.modules == (str(file),)
    assert Grid(grid.scenarios, grid.methods[1:]).modules == ()


def test_dotted_parameters():
    assert dotted_parameters(["gin.lr=1", "gin.steps=2", "a.b.c=d=e"]) == {
        "gin": {"lr": "1", "steps": "2"},
        "a": {"b.c": "d=e"},
    }
    for text in ("lr=1", "gin.lr", "gin"):
        with pytest.raises(UsageError, match=f"-p: expected method.parameter=value, got '{text}'"):
            dotted_parameters([text])
    with pytest.raises(UsageError, match=r"-p: gin.lr is given twice"):
        dotted_parameters(["gin.lr=1", "gin.lr=2"])
