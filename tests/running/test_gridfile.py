"""Files that say what is run: which grid comes of them, which options take precedence, what is refused at which line."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from nica_bench.cli.sweep import example
from nica_bench.errors import UsageError
from nica_bench.experiments import read_experiment
from nica_bench.publishing import read_publication
from nica_bench.registry import make_method, make_scenario
from nica_bench.running.grid import MANY_RUNS, Request, resolve
from nica_bench.running.gridfile import read_grid_file
from nica_bench.running.resources import Resources
from nica_bench.sweep import make_order


def read(tmp_path, text):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return read_grid_file(path)


def made(tmp_path, text, options=Request(), limit=MANY_RUNS):  # noqa: B008 (it is frozen)
    return resolve(options, read(tmp_path, text).request, limit)


def test_the_example_is_whole_and_every_key_of_it_is_known(tmp_path):
    grid = made(tmp_path, example())
    assert grid.size == 4 * 5 * 10
    assert [m.label for m in grid.methods] == ["gin", "gin[lr=0.003]", "pca", "raw-x", "linear-oracle"]
    # with what is commented out, too
    lines = [re.sub(r"^# (?=[\w-]+ = |\[)", "", line) for line in example().splitlines()]
    values = tomllib.loads("\n".join(lines))
    assert {"device", "timeout", "retry", "compile"} <= values.keys()
    assert values["slurm"].keys() >= {"partition", "constraint", "account", "qos", "extra", "groups_per_gpu"}
    assert set(values["slurm"]) == set(Resources.keys())
    head = ('title = "A"', 'source = "B"', 'question = "C"', 'contradicts = "D"')
    (tmp_path / "sweep.toml").write_text("\n".join([*head, *lines]))
    publication = read_publication(tmp_path)
    assert [kind for kind, _ in publication.tables] == ["scores", "scores"]
    assert publication.figures[1].methods == ("gin",)
    [expectation] = read_experiment(publication.file).expectations
    assert (expectation.method, expectation.scenario) == ("pca", grid.scenarios[0].label)
    assert publication.file.resources.extra[0] == "#SBATCH --mail-type=FAIL"


def test_grids_are_products_in_the_order_of_the_file(tmp_path):
    file = read(
        tmp_path,
        """
        seeds = [0, 3]
        training-seeds = 2
        samples = 500
        scenario = ["beta-2of10", {name = ["gauss-2of10", "gamma-2of10"], conditions = [3, 5], samples = [50, 60]}]
        [[method]]
        name = "gin"
        lr = [0.01, 1e-3]
        steps = 100
        slurm = {gpus = 1, time = "2-0"}
        [[method]]
        name = "pca"
        [slurm]
        memory = "2G"
        """,
    )
    order = make_order(file)
    grid = order.grid
    assert [s.label for s in grid.scenarios[:4]] == [
        "beta-2of10[samples=500]",
        "gauss-2of10[conditions=3,samples=50]",
        "gauss-2of10[conditions=3,samples=60]",
        "gauss-2of10[samples=50]",
    ]
    assert len(grid.scenarios) == 9
    assert [m.label for m in grid.methods] == ["gin[steps=100]", "gin[lr=0.001,steps=100]", "pca"]
    assert (grid.seeds, grid.training_seeds, grid.size) == ((0, 3), 2, 9 * 3 * 2 * 2)
    assert [order.resources[m].gpus for m in grid.methods] == [1, 1, 0]
    assert [order.resources[m].time for m in grid.methods] == [2880, 2880, 60]
    assert {r.memory for r in order.resources.values()} == {2048}


def test_options_take_precedence_over_the_file(tmp_path):
    text = """
    seeds = "0:4"
    samples = [100, 200]
    parameter = ["gin.steps=7"]
    [[scenario]]
    name = "gauss-2of10"
    conditions = [3, 4, 5]
    [[method]]
    name = "gin"
    lr = [0.01, 0.02]
    [slurm]
    time = 5
    """
    given = {"conditions": ("6",), "samples": ("300",)}
    options = Request((), (), given, {"gin": {"lr": "0.5"}}, [7], 3)
    file = read(tmp_path, text)
    order = make_order(file, options, resources={"time": 9, "memory": None})
    grid = order.grid
    assert [s.label for s in grid.scenarios] == ["gauss-2of10[conditions=6,samples=300]"]
    assert [m.label for m in grid.methods] == ["gin[lr=0.5,steps=7]"]
    assert (grid.seeds, grid.training_seeds) == ((7,), 3)
    assert [(r.time, r.memory) for r in order.resources.values()] == [(9, None)]
    grid = made(tmp_path, text, Request(["beta-2of10"], ["pca", "gin"], {"samples": ("99",)}))
    assert [s.label for s in grid.scenarios] == ["beta-2of10[samples=99]"]
    assert [m.label for m in grid.methods] == ["pca", "gin[steps=7]"]


HEAD = 'scenario = "gauss-2of10"\nmethod = ["pca"]\n'

REFUSED = {
    "unknown key": ('sceanrio = ["gauss-2of10"]', 1, "unknown key 'sceanrio'; did you mean 'scenario'"),
    "unknown key of slurm": (
        HEAD + "[slurm]\ncpus = 1\npartitoin = 'a'",
        5,
        "'slurm.partitoin'; did you mean 'partition'",
    ),
    "no TOML": ("a = [1,", None, "is not TOML"),
    "bad type": (HEAD + "training-seeds = 'two'", 3, "training-seeds: expected a whole number >= 1, got 'two'"),
    "boolean": (HEAD + "inits = true", 3, "inits: expected a whole number"),
    "old and new name": (HEAD + "training-seeds = 2\ninits = 2", 4, "inits is another spelling of training-seeds"),
    "timeout": (HEAD + "timeout = 0", 3, "timeout: expected a number of seconds > 0, got 0"),
    "retry": (HEAD + "\nretry = 'failled'", 4, "unknown status 'failled'; did you mean 'failed'"),
    "device": (HEAD + "\ndevice = 'gpu'", 4, "unknown device 'gpu'"),
    "metric": (HEAD + 'metrics = ["mcc",\n  "mmcc_best"]', 4, "unknown metric 'mmcc_best'; did you mean 'mcc_best'"),
    "seeds": (HEAD + "seeds = '5:2'", 3, "low < high"),
    "seeds without end": (HEAD + "seeds = '0:10_000_000_000'", 3, "seeds: 10,000,000 at most"),
    "seeds type": (HEAD + "seeds = 1.5", 3, "seeds: expected a text"),
    "empty grid": (HEAD + "samples = []", 3, "samples: the grid is empty"),
    "empty list": ("scenario = []", 1, "scenario: the list is empty"),
    "no scenario": ("method = ['pca']", None, "no scenario is named"),
    "no name": ("[[scenario]]\nconditions = 3", 1, "scenario[0].name: expected a name"),
    "unknown scenario": ('scenario = [\n  "gamma-2of10",\n  "gaus-2of10"]', 3, "unknown scenario 'gaus-2of10'"),
    "unknown method": (
        HEAD.splitlines()[0] + '\n[[method]]\nname = "ginn"\n',
        3,
        "unknown method 'ginn'; did you mean 'gin'",
    ),
    "value": ("[[scenario]]\nname='gauss-2of10'\nmixing = ['easy',\n 'esay']\n", 3, "did you mean 'easy'"),
    "parameter": ("[[scenario]]\nname='gauss-2of10'\ncondition = 3\n", 3, "no parameter 'condition'"),
    "spelled with a hyphen": ("[[scenario]]\nname='gauss-2of10'\nheld-out = 3\n", 3, "held_out"),
    "type of a value": (
        "[[scenario]]\nname='gauss-2of10'\nconditions = {a=1}\n",
        3,
        "scenario[0].conditions: expected",
    ),
    "twice": (HEAD + "samples = [100, 100]", 3, "no value twice"),
    "two spellings": (HEAD + "held-out = 100\nheld_out = 100", 4, "given twice"),
    "time": (HEAD + "[slurm]\ntime = '1 hour'", 4, "slurm.time: a time is written"),
    "memory": (HEAD + "[slurm]\nmemory = 'much'", 4, "slurm.memory: a memory is written"),
    "memory type": (HEAD + "[slurm]\nmemory = [1]", 4, "slurm.memory: expected"),
    "slurm no table": (HEAD + "slurm = 3", 3, "slurm: expected a table, got 3"),
    "unknown table": ("[[scenarios]]\nname = 'gauss-2of10'", 1, "unknown key 'scenarios'; did you mean 'scenario'"),
    "dotted": ("scenario.name = 'gauss-2of10'\nscenario.conditions = 1", 2, "conditions is a whole number >= 2"),
    "mark at the beginning": ("\ufeffseeds = '5:2'", 1, "low < high"),
    "-p": (HEAD + "parameter = ['steps=3']", 3, "expected method.parameter=value"),
    "-p of nobody": (HEAD + "parameter = ['gin.steps=3']", 3, "'gin' is not among the methods"),
    "-p that is wrong": (HEAD + "parameter = ['pca.x=3']", 3, "parameter: pca has no parameter 'x'"),
    "shared": ("scenario = ['gauss-2of10', 'digits']\n\nconditions = 3", 3, "digits has no parameter 'conditions'"),
    "bracket": ("scenario = 'gauss-2of10'\nmethod = ['pca',\n 'gin[lr=1']", 3, "the bracket does not close"),
    "no file": (HEAD.splitlines()[0] + "\nmethod = './none.py'", 2, "method: no method file"),
    "of slurm": (HEAD + "partition = 'main'", 3, "unknown key 'partition'; 'partition' stands in the table [slurm]"),
    "in slurm": (HEAD + "[slurm]\njobs = 3", 4, "unknown key 'slurm.jobs'; 'jobs' is a key of the whole file"),
    "flag": (HEAD + "cluster = 'slurm'", 3, "'cluster' is an option of the command line"),
    "below a table": (
        "[[scenario]]\nname='gauss-2of10'\nseeds = 3",
        3,
        "no parameter 'seeds'; 'seeds' is a key of the",
    ),
    "resources of a scenario": ("[[scenario]]\nname='gauss-2of10'\nslurm={gpus=1}\n", 3, "a scenario not"),
    "a scenario that is a number": ("scenario = ['gauss-2of10', 3]", 1, "scenario[1]: expected a name or a table"),
}


@pytest.mark.parametrize(("text", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_with_its_line(tmp_path, text, line, message):
    with pytest.raises(UsageError) as error:
        made(tmp_path, text)
    assert message in str(error.value)
    if line is not None:
        assert f"sweep.toml, line {line}: " in str(error.value)


def test_what_is_wrong_on_the_command_line_is_not_said_of_the_file(tmp_path):
    for options, message in (
        (Request(scenario_parameters={"conditions": ("0",)}), "gauss-2of10: conditions is a whole number >= 2"),
        (Request(method_parameters={"pca": {"x": "1"}}), "pca has no parameter 'x'"),
        (Request(method_parameters={"gin": {"lr": "1"}}), "gin.lr: 'gin' is not among the methods"),
    ):
        with pytest.raises(UsageError) as error:
            made(tmp_path, HEAD, options)
        assert str(error.value).startswith(message)


def test_scenarios_and_methods_of_files_are_made_again_in_another_folder(tmp_path, monkeypatch):
    folder = tmp_path / "of.python"
    folder.mkdir()
    for kind in ("method", "scenario"):
        text = files("nica_bench.checking").joinpath("templates", f"{kind}.txt").read_text()
        text = text.replace("$name", "mine").replace("$class_name", "Mine").replace("$title", "Mine")
        (folder / f"{kind}.py").write_text(text)
    monkeypatch.chdir(folder)
    grid = made(
        tmp_path,
        """
        method = "./method.py[shrinkage=0.5]"
        [[scenario]]
        name = "./scenario.py:2of4"
        samples = [200, 300]
        """,
    )
    assert [s.label for s in grid.scenarios] == ["mine-2of4[samples=200]", "mine-2of4[samples=300]"]
    monkeypatch.chdir(tmp_path)
    for made_once in (*grid.scenarios, *grid.methods):
        make = make_method if made_once in grid.methods else make_scenario
        assert make(grid.texts[made_once]) == made_once
        assert grid.texts[made_once].startswith(str(folder))


def test_a_million_runs_have_to_be_confirmed(tmp_path):
    text = HEAD + "seeds = '0:1_000_000'"
    with pytest.raises(UsageError, match="the grid has 1,000,000 runs, and more than 100,000 are only run if"):
        made(tmp_path, text)
    assert made(tmp_path, text, limit=None).size == 1_000_000


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"file .*none.toml cannot be read: No such file"):
        read_grid_file(Path(tmp_path / "none.toml"))
