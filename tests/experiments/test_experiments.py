"""Experiments: their files, the answer on records, and the command line."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from helpers import results
from helpers.cli import nica
from nica_bench import UsageError
from nica_bench.cli import main
from nica_bench.cli.experiment import about_lines, verdict_lines, verdicts_json
from nica_bench.experiments import (
    AS_EXPECTED,
    NOT_AS_EXPECTED,
    experiment_names,
    judge,
    make_experiment,
    read_experiment,
    summary,
)
from nica_bench.running.gridfile import parse_grid_file
from nica_bench.stats import quantities

FILE = """
title = "A title"
source = "A paper, figure 1"
question = "Is it so?"
contradicts = "It is not so."
scenario = ["gauss-2of4[conditions=3,samples=400]"]
method = ["gin[steps=5]", "raw-x"]
seeds = "0:4"

[[expect]]
method = "gin[steps=5]"
quantity = "mcc"
statistic = "median"
low = 0.9
why = "It was so."
"""


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Call the command line in this process and in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["nica-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


# Files


@pytest.mark.parametrize("name", experiment_names())
def test_every_file_says_what_can_be_run_and_measured(name):
    experiment = make_experiment(name)
    scenarios, methods = experiment.grid.scenarios, experiment.grid.methods
    assert {"raw-x", "label-only"} <= {m.name for m in methods if m.kind() == "baseline"}
    assert all(m.skip(s) is None for m in methods for s in scenarios)
    for e in experiment.expectations:
        assert e.scenario in {s.label for s in scenarios}
        assert e.method in {m.label for m in methods}
        assert e.quantity in quantities()
        assert e.low < e.high
    assert {e.scenario for e in experiment.expectations} == {s.label for s in scenarios}
    assert experiment.seen is not None
    assert f"--experiment {name}" in experiment.seen.command


def test_the_papers_experiments_are_there():
    assert {"gin-fig6", "gin-fig7", "gin-fig8", "gin-table1"} <= set(experiment_names())
    points = {name: make_experiment(name).grid.scenarios[0] for name in ("gin-fig6", "gin-fig7", "gin-fig8")}
    assert {name: (s.conditions, s.samples) for name, s in points.items()} == {
        "gin-fig6": (5, 100_000),
        "gin-fig7": (5, 10_000),
        "gin-fig8": (3, 100_000),
    }
    assert make_experiment("gin-fig7").contradicts
    families = {s.distribution_name for s in make_experiment("gin-table1").grid.scenarios}
    assert families == {"normal", "lognormal", "inverse-gaussian", "gamma", "inverse-gamma", "beta"}


def test_an_expectation_without_a_scenario_is_of_each():
    text = FILE.replace("samples=400]", 'samples=400]", "gauss-2of4')
    labels = [e.scenario for e in read("x", text).expectations]
    assert labels == ["gauss-2of4[conditions=3,samples=400]", "gauss-2of4"]
    for scenario in ("1", '"gauss-2of4"'):
        (e,) = read("x", text + f"scenario = {scenario}\n").expectations
        assert e.scenario == "gauss-2of4"


def test_a_range_that_is_open_ends_with_the_quantity():
    assert (read("x", FILE).expectations[0].low, read("x", FILE).expectations[0].high) == (0.9, 1)
    (e,) = read("x", FILE.replace('"mcc"', '"slope_error"')).expectations
    assert (e.low, e.high) == (0.9, math.inf)


def read(name, text):
    return read_experiment(parse_grid_file(text.encode(), f"{name}.toml"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "A title"', "title = ", "x.toml is not TOML: Invalid value (at line 2"),
        ('title = "A title"', "", "x.toml: title: expected a text that is not empty, got nothing"),
        ('title = "A title"', "title = 3", "x.toml, line 2: title: expected a text that is not empty, got 3"),
        ('title = "A title"', 'tittle = "A title"', "x.toml, line 2: unknown key 'tittle'; did you mean 'title'?"),
        ('contradicts = "It is not so."', "contradicts = ' '", "x.toml, line 5: contradicts: expected a text that is not empty, got ' '"),
        ('scenario = ["', 'scenario = ["", "', "x.toml, line 6: scenario[0]: expected a name or a table with a name, got ''"),
        ("scenario = [", "scenarios = [", "x.toml, line 6: unknown key 'scenarios'; did you mean 'scenario'"),
        ("gauss-2of4[conditions=3,", "gaus-2of4[", "x.toml, line 6: scenario: unknown scenario 'gaus-2of4'; did you mean 'gauss'"),
        ('"raw-x"]', '"raw-y"]', "x.toml, line 7: method: unknown method 'raw-y'; did you mean 'raw-x'?"),
        ('seeds = "0:4"', 'seeds = "4:0"', "x.toml, line 8: seeds: seeds are written low:high"),
        ('seeds = "0:4"', "seeds = 4.5", "x.toml, line 8: seeds: expected a text such as '0:10' or '0:5,8', or whole"),
        ("[[expect]]", "[expect]", "x.toml, line 10: expect: expected a list of tables, got {"),
        ('method = "gin[steps=5]"', 'method = "gin"', "x.toml, line 11: expect[0].method: unknown 'gin'; known: gin[steps=5], raw-x"),
        ('quantity = "mcc"', 'quantity = "mmc"', "x.toml, line 12: expect[0].quantity: unknown 'mmc'; did you mean 'mcc'"),
        ('statistic = "median"', 'statistic = "mode"', "x.toml, line 13: expect[0].statistic: unknown 'mode'"),
        ('statistic = "median"', 'statistic = "share"', "x.toml, line 10: expect[0].threshold: expected one with statistic = 'share'"),
        ("low = 0.9", "low = 0.9\nthreshold = 0.95", "expect[0].threshold: expected one with statistic = 'share' and none"),
        ("low = 0.9", "", "x.toml, line 10: expect[0].low: expected low or high or both, got nothing"),
        ("low = 0.9", "low = 0.9\nhigh = 0.8", "x.toml, line 14: expect[0].low: expected at most high = 0.8, got 0.9"),
        ("low = 0.9", "low = 1.5", "x.toml, line 14: expect[0].low: expected a number from -1 to 1, got 1.5"),
        ("low = 0.9", "low = nan", "x.toml, line 14: expect[0].low: expected a number from -1 to 1, got nan"),
        ("low = 0.9", "low = true", "x.toml, line 14: expect[0].low: expected a number from -1 to 1, got True"),
        ("low = 0.9", "low = 0.9\nscenario = 1", "x.toml, line 15: expect[0].scenario: expected a whole number >= 0 and <= 0, got 1"),
        ("low = 0.9", "low = 0.9\nscenario = 'gauss'", "x.toml, line 15: expect[0].scenario: unknown 'gauss'; known: gauss-2of4["),
        ("low = 0.9", "low = 0.9\nheigh = 1", "x.toml, line 15: unknown key 'expect[0].heigh'; did you mean 'high'?"),
        ('why = "It was so."', "", "x.toml, line 10: expect[0].why: expected a text that is not empty, got nothing"),
        ('why = "It was so."', 'why = "a"\n[seen]\ncommand = "b"', "x.toml, line 16: seen.versions: expected a text"),
        ('"A title"', '"A title"\nseen = 3', "x.toml, line 3: seen: expected a table, got 3"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_with_its_key(old, new, says):
    assert old in FILE
    with pytest.raises(UsageError) as error:
        read("x", FILE.replace(old, new, 1))
    assert says in str(error.value)


def test_bytes_that_are_no_text():
    with pytest.raises(UsageError, match=r"x\.toml is not TOML: 'utf-8' codec"):
        parse_grid_file(b"\xff", "x.toml")


# The answer


def records(mccs, *, seeds=None, method="gin", **changes):
    seeds = range(len(mccs)) if seeds is None else seeds
    return [results.record(method, seed, mcc=mcc, **changes) for seed, mcc in zip(seeds, mccs, strict=True)]


def experiment(statistic='"median"', *more):
    text = FILE.replace("gin[steps=5]", "gin").replace("samples=400", "samples=500")
    return read("x", text.replace('statistic = "median"', f"statistic = {statistic}") + "\n".join(more))


def of(mccs, **changes):
    return records(mccs, samples=500, **changes)


def answers(e, rows):
    return [v.answer for v in judge(e, rows)]


@pytest.mark.parametrize(
    ("statistic", "scores", "value", "answer"),
    [
        ("median", [0.5, 0.91, 0.93, 0.94], 0.92, AS_EXPECTED),
        ("median", [0.5, 0.6, 0.93, 0.94], 0.765, NOT_AS_EXPECTED),
        ("median", [0.9, 0.9, 0.9, 0.9], 0.9, AS_EXPECTED),
        ("mean", [0.7, 0.9, 1, 1], 0.9, AS_EXPECTED),
        ("mean", [0.6, 0.9, 1, 1], 0.875, NOT_AS_EXPECTED),
        ("iqm", [0, 0.9, 0.92, 1], 0.91, AS_EXPECTED),
    ],
)
def test_yes_and_no(statistic, scores, value, answer):
    (verdict,) = judge(experiment(f'"{statistic}"'), of(scores))
    assert verdict.measured.value == pytest.approx(value)
    assert verdict.measured.low <= value + 1e-12
    assert verdict.measured.count == 4
    assert verdict.answer == answer
    assert summary([verdict]) == (answer if answer == AS_EXPECTED else f"{answer} (1 of 1)")


def test_a_share_counts_from_its_threshold_on_and_a_failure_is_no_success():
    e = experiment('"share"', "threshold = 0.8")
    assert answers(e, of([0.8, 0.9, 0.9, 0.9])) == [AS_EXPECTED]
    assert answers(e, of([0.79, 0.9, 0.9, 0.9])) == [NOT_AS_EXPECTED]
    failed = [*of([0.9, 0.9, 0.9]), *of([0.9], seeds=[3], status="diverged")]
    (verdict,) = judge(e, failed)
    assert (verdict.measured.value, verdict.answer) == (0.75, NOT_AS_EXPECTED)


def test_a_failure_scores_the_floor_in_a_median():
    rows = [*of([0.95, 0.95]), *of([0, 0], seeds=[2, 3], status="error"), *of([0.3] * 4, method="raw-x")]
    assert judge(experiment(), rows)[0].measured.value == pytest.approx((0.95 + 0.3) / 2)


def test_what_is_not_of_the_experiment_is_not_judged():
    good = [0.95] * 4
    assert answers(experiment(), of(good[:3])) == ["not judged: other seeds"]
    assert answers(experiment(), of(good, seeds=range(1, 5))) == ["not judged: other seeds"]
    assert answers(experiment(), of(good) + of(good, training_seed=1)) == ["not judged: other training seeds"]
    assert answers(experiment(), records(good)) == ["not judged: other scenarios"]
    assert answers(experiment(), of(good, method="raw-x")) == ["not judged: other methods"]
    assert answers(experiment(), []) == ["not judged: other scenarios"]
    assert judge(experiment(), of(good[:3]))[0].measured.value == pytest.approx(0.95)  # said, if not judged
    assert summary(judge(experiment(), of(good[:3]))) == "not judged: other seeds"
    assert answers(experiment(), of(good, scores={"mcc_best": 0.5})) == ["not judged: no dataset has mcc"]


def test_slopes_are_read_from_the_records():
    text = FILE.replace("gin[steps=5]", "gin").replace("samples=400", "samples=500")
    e = read("x", text.replace('quantity = "mcc"', 'quantity = "slope_error"').replace("low = 0.9", "high = 0.15"))
    near = [r for s in range(4) for r in of([0.9], seeds=[s], scores={"mcc": 0.9, "slope_error": 0.1})]
    far = [r for s in range(4) for r in of([0.9], seeds=[s], scores={"mcc": 0.9, "slope_error": 0.7})]
    assert answers(e, near) == [AS_EXPECTED]
    assert answers(e, far) == [NOT_AS_EXPECTED]


def test_the_lines_and_the_json():
    text = FILE.replace("gin[steps=5]", "gin").replace("samples=400", "samples=500")
    e = read("x", text + text[text.index("[[expect]]") :].replace('"mcc"', '"slope_error"'))
    rows = [
        r
        for s, m in enumerate([0.5, 0.91, 0.93, 0.94])
        for r in of([m], seeds=[s], scores={"mcc": m, "slope_error": 0.2})
    ]
    verdicts = judge(e, rows)
    low, high = verdicts[0].measured.low, verdicts[0].measured.high
    measured = f".920 [{low:.3f} {high:.3f}]".replace("0.", ".")
    assert verdict_lines(e, verdicts) == [
        "x: A title (A paper, figure 1)",
        "gauss-2of4[conditions=3,samples=500]",
        f"  gin: median mcc {measured}, expected .9 to 1: as expected",
        "  gin: median slope_error .200 [.200 .200], expected .9 or more: not as expected",
        "x: not as expected (1 of 2)",
        "Against the source: It is not so.",
    ]
    shown = json.loads(json.dumps(verdicts_json(e, verdicts), allow_nan=False))
    assert [r["answer"] for r in shown["expectations"]] == [AS_EXPECTED, NOT_AS_EXPECTED]
    assert shown["expectations"][1]["high"] is None
    assert shown["answer"] == "not as expected (1 of 2)"


# The command line


def test_an_experiment_in_small_then_one_of_ones_own_on_its_records(tmp_path, call):
    small = ["--samples", "300", "--held-out", "100", "--seeds", "0:2", "-p", "gin.steps=5", "--jobs", "1"]
    done = nica("run", "--experiment", "gin-fig7", *small, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scenario = "gauss-2of10[samples=300,held_out=100]"
    assert f"{scenario}  gin[steps=5]: 2 runs, 0 there, 2 to run" in done.stderr
    lines = done.stdout.splitlines()
    assert "  gin: median mcc -, expected .96 to 1: not judged: other scenarios" in lines
    assert "gin-fig7: not judged: other scenarios" in lines
    assert any(line.startswith("Against the source: ") for line in lines)
    assert lines[-1].startswith("8 records in ")
    code, text, _ = call("run", "--experiment", "gin-fig7", *small, "--json")
    assert code == 0
    shown = json.loads(text)
    assert list(shown) == [scenario, "experiment"]
    assert {e["answer"] for e in shown["experiment"]["expectations"]} == {"not judged: other scenarios"}

    own = FILE.replace("gauss-2of4[conditions=3,samples=400]", scenario).replace("0:4", "0:2").replace("0.9", "0.999")
    (tmp_path / "mine.toml").write_text(own)
    code, text, said = call("run", "--experiment", "./mine.toml")
    assert "2 runs, 2 there, 0 to run" in said
    assert code == 0  # a finding, not a failure
    line, answer, against, _ = text.splitlines()[-4:]
    assert line.endswith("expected .999 to 1: not as expected")
    assert (answer, against) == ("mine: not as expected (1 of 1)", "Against the source: It is not so.")
    text = call("run", "--experiment", "mine.toml", "--seeds", "1")[1]
    assert "mine: not judged: other seeds" in text


@pytest.mark.parametrize(
    ("arguments", "planned"),
    [
        ([], "gauss-2of4[conditions=3,samples=400]  gin[steps=5]: 4 runs"),
        (["--samples", "300"], "gauss-2of4[conditions=3,samples=300]  raw-x: 4 runs"),
        (["--seeds", "1:3", "--training-seeds", "2"], "gin[steps=5]: 4 runs"),
        (["-p", "gin.steps=7"], "gin[steps=7]: 4 runs"),
        (["-m", "pca"], "gauss-2of4[conditions=3,samples=400]  pca: 4 runs"),
    ],
)
def test_options_take_precedence_over_the_file(arguments, planned, tmp_path, call):
    (tmp_path / "mine.toml").write_text(FILE)
    code, text, plan = call("run", "--experiment", "mine.toml", "--dry-run", *arguments)
    assert (code, text) == (0, "")
    assert planned in plan


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "error: run takes --scenario (-s) or --experiment, got neither\n"),
        (["run", "--experiment", "gin-fig6", "-s", "gauss-2of10"], "run takes --scenario (-s) or --experiment, got both"),
        (["run", "--experiment", "gin-fig9"], "unknown experiment 'gin-fig9'; did you mean 'gin-fig"),
        (["run", "--experiment", "none.toml"], "file none.toml cannot be read: No such file"),
        (["run", "--experiment", "bad.toml"], "error: bad.toml, line 1: unknown key 'titel'; did you mean 'title' or 'timeout'?\n"),
        (["run", "--experiment", "gin-fig6", "--sample", "3"], "--samples"),
        (["info", "gin-fig9"], "'gin-fig9' is not a scenario, method, metric or experiment; did you mean 'gin-fig"),
        (["info", "gin-fig6", "--seeds", "0"], "--seeds: expected the name of a scenario, got gin-fig6"),
        (["list", "experiment"], "did you mean 'experiments'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_exit_2(arguments, says, tmp_path, call):
    (tmp_path / "bad.toml").write_text('titel = "a"')
    code, text, said = call(*arguments)
    assert (code, text) == (2, "")
    assert says in said


def test_list_and_info(call):
    names = [row["name"] for row in json.loads(call("list", "experiments", "--json")[1])]
    assert names == experiment_names()
    assert [line.split()[0] for line in call("list", "experiments")[1].splitlines()] == names
    text = call("info", "gin-fig7")[1]
    e = make_experiment("gin-fig7")
    assert text.splitlines() == about_lines(e)
    for part in (e.title, e.source, e.question, e.contradicts, e.expectations[0].why, *e.seen.result):
        assert part in text
    shown = json.loads(call("info", "gin-fig7", "--json")[1])
    assert (shown["seeds"], len(shown["expectations"])) == ("0:20", len(e.expectations))


def test_reading_experiments_takes_no_torch():
    code = "import sys; import nica_bench.experiments as e; e.make_experiment('gin-fig6'); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
