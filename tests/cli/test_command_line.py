"""The command line: what it takes, what it prints, and what it says of bad input."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass

import numpy as np
import pytest

from helpers import ROOT
from helpers.cli import HEAD, METHOD, SMALL, nica, write_method
from nica_bench import Scenario, UsageError, parameter, registry
from nica_bench.cli import flags, main
from nica_bench.running.plan import parse_seeds, seeds_text

QUICK = ["-p", "gin.steps=5", "-p", "ivae.steps=5"]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Call the command line in this process and in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["nica-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return (0 if code is None else code), captured.out, captured.err

    return run


# Running


def test_the_main_job_in_small_then_cached_then_tables(tmp_path, call):
    command = ["run", "--scenario", "gauss-2of4", *SMALL, "--seeds", "0:2", *QUICK]
    first = nica(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "14 records" in first.stdout
    assert "linear-oracle" in first.stdout
    assert max(map(len, first.stdout.splitlines()[:-1])) <= 80
    lines = first.stderr.splitlines()
    assert "fewer than the n k + 1 = 5" in lines[0]
    label = "gauss-2of4[conditions=3,samples=400,held_out=200]"
    assert f"{label}  gin[steps=5]: 2 runs, 0 there, 2 to run" in lines
    assert len([line for line in lines if line.startswith(label)]) == 7
    runs = sorted((tmp_path / "results/cells").glob("*.json"))
    before = {c: c.stat().st_mtime_ns for c in runs}
    code, again, _ = call(*command)
    assert (code, again) == (0, first.stdout)
    assert {c: c.stat().st_mtime_ns for c in runs} == before
    code, text, _ = call("table", "--json")
    rows = json.loads(text)[label]
    assert [r["kind"] for r in rows] == ["method"] * 4 + ["baseline"] * 2 + ["reference"]
    assert json.loads(call(*command, "--json")[1])[label] == rows
    _show(call, runs[0])
    runs[0].write_text(runs[0].read_text()[:100])
    mended = nica(*command, cwd=tmp_path)
    assert mended.returncode == 0
    assert f"broken record {runs[0]}" in mended.stderr
    assert json.loads(runs[0].read_text())["status"] == "ok"


def _show(call, run):
    code, text, _ = call("show", run.name[:8], "--json")
    assert code == 0
    record = json.loads(text)
    assert record == json.loads(run.read_text())
    text = call("show", run.name[:8])[1]
    assert f"{record['scores']['mcc']:.4g}" in text
    again = shlex.split(text.splitlines()[-1])
    code, _, plan = call(*again[1:], "--dry-run")
    assert code == 0
    assert "1 run, 0 there, 1 to run" in plan


def test_a_dry_run_makes_nothing(tmp_path, call):
    code, text, plan = call(
        "run", "-s", "gauss-2of10", "-s", "gauss-2of4", "--seeds", "0:3", "--training-seeds", "2", "--dry-run"
    )
    assert (code, text) == (0, "")
    assert plan.count("6 runs, 0 there, 6 to run") == 14
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("colour", [True, False])
def test_bars_in_a_terminal_of_80_columns(tmp_path, colour):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color"} | ({} if colour else {"NO_COLOR": "1"})
    option = write_method(tmp_path, "patient", "time.sleep(1); return Fitted(lambda x, u: x, np.ones(D))")
    process = subprocess.Popen(
        [sys.executable, "-m", "nica_bench", "run", "-s", "gauss-2of4", *SMALL, "--seeds", "0:2", "--jobs", "1", *option],
        cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0, shown
    text = shown.decode()
    assert (re.search(r"\x1b\[[0-9;]*3[0-9]", text) is not None) is colour
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    bars = [line for line in re.split(r"[\r\n]+", plain) if "━" in line]
    assert any(re.match(r"all runs +━+ +2/2", line) for line in bars)
    assert any(re.match(r"patient +━+ +[01]/2", line) for line in bars)
    assert max(map(len, bars)) <= 80


# Bad input


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-s", "gaus-2of10"], "did you mean 'gauss'"),
        (["-s", "gauss"], "unknown scenario 'gauss'; known: "),
        (["-s", "gauss-5of3"], "1 <= n <= D and D >= 2, got n = 5 and D = 3"),
        (["-s", "gauss-2of10[conditions=3"], "the bracket does not close"),
        (["-s", "gauss-2of10[condition=3]"], "did you mean 'conditions'"),
        (["-s", "gauss-2of10", "--conditions", "1"], "conditions is a whole number >= 2 and <= 1000, got 1"),
        (["-s", "gauss-2of10", "--conditions", "many"], "conditions is a whole number >= 2 and <= 1000, got 'many'"),
        (["-s", "gauss-2of10", "--samples", "0"], "samples is a whole number >= 10, got 0"),
        (["-s", "gauss-2of10", "--noise", "-1"], "noise is a number >= 0, got -1"),
        (["-s", "gauss-2of10", "--means", "3:1"], "means is a range low:high, got '3:1'"),
        (["-s", "gauss-2of10", "--mixing", "realnvq"], "did you mean 'realnvp'"),
        (["-s", "gauss-2of10", "--seeds", "3:1"], "0 <= low < high, got '3:1'"),
        (["-s", "gauss-2of10", "--seeds", "a"], "seeds are written like 0:10, 3 or 0:5,8; got 'a'"),
        (["-s", "gauss-2of10", "-m", "gim"], "unknown method 'gim'; did you mean 'gin'"),
        (["-s", "gauss-2of10", "-m", "gin[lrr=1]"], "did you mean 'lr'"),
        (["-s", "gauss-2of10", "-m", "gin[lr=-1]"], "lr is a number > 0, got -1"),
        (["-s", "gauss-2of10", "-m", "gin", "-p", "gim.lr=1"], "'gim' is not among the methods; did you mean 'gin'"),
        (["-s", "gauss-2of10", "-m", "gin", "-p", "lr=1"], "-p: expected method.parameter=value, got 'lr=1'"),
        (["-s", "gauss-2of10", "-m", "./none.py"], "none.py: expected a Python file that holds a subclass of Method"),
        (["-s", "gauss-2of10", "-m", "./syntax.py"], "syntax.py, line 1 does not import: SyntaxError"),
        (["-s", "gauss-2of10", "-m", "./import.py"], "import.py, line 2 does not import: ModuleNotFoundError"),
        (["-s", "gauss-2of10", "-m", "./unfinished.py"], "Unfinished lacks abstract methods"),
        (["-s", "gauss-2of10", "-m", "./empty.py"], "defines no method: expected a subclass of Method"),
        (["-s", "gauss-2of10", "-m", "./one.py", "-m", "./two.py"], "two methods are called 'same'"),
        (["-s", "gauss-2of10", "--device", "tpu"], "unknown device 'tpu'"),
        (["-s", "gauss-2of10", "--retry", "faild"], "did you mean 'failed'"),
        (["-s", "gauss-2of10", "--out", "other"], "holds something else (for example 'mine.csv')"),
        (["-s", "gauss-2of10", "--out", "other/mine.csv"], "is a file, not a folder"),
        (["-s", "gauss-2of10", "--out", "/proc/results"], "/proc/results cannot be written to: "),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_exit_2(arguments, says, tmp_path, call):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.csv").write_text("a")
    (tmp_path / "syntax.py").write_text("def")
    (tmp_path / "import.py").write_text("\nimport nowhere_at_all")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "unfinished.py").write_text(HEAD + "class Unfinished(Method):\n    name = 'unfinished'")
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(HEAD + METHOD.format(title=name.title(), name="same", body="pass"))
    code, text, said = call("run", *arguments)
    assert (code, text) == (2, "")
    assert says in said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert errors == said.splitlines()[-1:]
    assert not list(tmp_path.rglob("cells/*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "method"], "did you mean 'methods'"),
        (["info", "gni"], "'gni' is not a scenario, method, metric or experiment; did you mean 'gin'"),
        (["info", "mcc_bets"], "did you mean 'mcc_best'"),
        (["info", "gin", "--conditions", "3"], "--conditions: expected the name of a scenario, got gin"),
        (["info", "--seeds", "0"], "--seeds: expected the name of a scenario, got no name"),
        (["show", "ab"], "does not exist"),
        (["table"], "does not exist"),
    ],
)  # fmt: skip
def test_bad_input_of_the_other_commands(arguments, says, call):
    code, text, said = call(*arguments)
    assert (code, text) == (2, "")
    assert says in said


def test_an_unknown_option_is_exit_2(call):
    code, _, said = call("run", "-s", "gauss-2of10", "--condition", "3")
    assert code == 2
    assert "--conditions" in said


@pytest.mark.parametrize("arguments", [["--debug", "run"], ["run", "--debug"]])
def test_debug_shows_the_traceback(arguments, call, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["nica-bench", *arguments, "-s", "nothing"])
    with pytest.raises(UsageError, match="unknown scenario"):
        main()


def test_a_bug_of_nica_bench_is_one_line_too(call, monkeypatch):
    monkeypatch.setattr("nica_bench.cli.run.make_plan", lambda *a, **k: 1 / 0)
    code, _, said = call("run", "-s", "gauss-2of10", "--dry-run")
    assert code == 1
    assert said == "error: ZeroDivisionError: division by zero; this is a bug of nica-bench, --debug shows where\n"


# Flags of scenarios


@dataclass(frozen=True)
class Digits(Scenario):
    """A scenario whose data are fixed."""

    family = "digits"
    equivalence = "unknown"
    sized = False
    n_latents: int = 2
    n_observed: int = 4
    conditions: int = 10
    samples: int = 60_000
    noise: float = parameter(0.5, "sd of pixels", low=0)
    blur: int = parameter(1, "passes of a filter", low=0)
    jobs: int = parameter(1, "has the name of another flag")

    def generate(self, seed):
        raise NotImplementedError


@pytest.fixture
def digits(monkeypatch):
    types = {**registry.scenario_types(), "digits": Digits}
    monkeypatch.setattr(registry, "scenario_types", lambda: types)
    monkeypatch.setattr(flags, "scenario_types", lambda: types)


def test_flags_come_from_all_scenarios(digits, call):
    _, text, _ = call("run", "--help")
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", text.partition("Scenario parameters")[2]).split())
    assert "--blur INTEGER digits: passes of a filter (a whole number >= 0) [default: 1]" in shown
    assert "std of the D - n noise coordinates (a number >= 0) [default: 0.01]; digits: sd of pixels" in shown
    assert "has the name of another flag" not in text
    code, _, plan = call("run", "-s", "digits", "--blur", "2", "-m", "pca", "--dry-run")
    assert code == 0
    assert plan.startswith("digits[blur=2]  pca: 10 runs")
    assert "digits[jobs=2]" in call("run", "-s", "digits[jobs=2]", "-m", "pca", "--dry-run")[2]


def test_a_flag_that_a_scenario_does_not_have(digits, call):
    code, _, said = call("run", "-s", "gauss-2of10", "-s", "digits", "--conditions", "3")
    assert code == 2
    assert said == "error: digits has no parameter 'conditions'; known: blur, jobs, noise\n"


def test_brackets_win_over_flags(call):
    plan = call("run", "-s", "gauss-2of10[noise=0.5]", "--noise", "0.2", "--samples", "99", "-m", "pca", "--dry-run")[2]
    assert "gauss-2of10[samples=99,noise=0.5]  pca" in plan


# Looking around


def test_difficulty_without_training(call):
    command = ["info", "gauss-2of4", "--mixing", "realnvp", "--samples", "400", "--held-out", "200", "--seeds", "0:3"]
    code, text, _ = call(*command, "--json")
    assert code == 0
    rows = json.loads(text)["datasets"]
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert all(0 <= row["linear_r"] <= 1 for row in rows)
    code, text, _ = call(*command)
    assert code == 0
    table = text.partition("\nlinear_r ")[0]
    assert max(map(len, table.splitlines())) <= 80
    median = sorted(row["linear_r"] for row in rows)[1]
    assert re.search(rf"median +{median:.3f}", text)


@pytest.mark.parametrize("what", ["scenarios", "methods", "metrics"])
def test_list_as_json_and_as_lines(what, call):
    rows = json.loads(call("list", what, "--json")[1])
    lines = call("list", what)[1].splitlines()
    assert len(lines) == len(rows) > 0
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(row["name"])
        assert row["description"] in line


def test_info_of_everything(call):
    names = [row["name"] for what in ("methods", "metrics") for row in json.loads(call("list", what, "--json")[1])]
    for name in [*names, "gauss-2of10[conditions=3]", "gin[lr=0.5]"]:
        code, text, said = call("info", name)
        assert (code, said) == (0, "")
        assert text.strip()
        assert json.loads(call("info", name, "--json")[1])
    assert "fewer than the n k + 1 = 5" in call("info", "gauss-2of10", "--conditions", "3")[1]


def test_info_of_the_machine(call, monkeypatch, tmp_path):
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path / "data"))
    facts = json.loads(call("info", "--json")[1])
    assert facts["cores"] >= 1
    assert 0 < facts["memory_available_bytes"] <= facts["memory_bytes"]
    assert facts["packages"]["torch"]
    assert facts["data_folder"] == str(tmp_path / "data")
    assert re.search(r"memory +[\d.]+ GiB", call("info")[1])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["info", "--help"], ["list", "methods"], ["list", "scenarios"], ["info", "gauss-2of10"]]
)  # fmt: skip
def test_torch_is_not_imported_to_look_around(arguments, tmp_path):
    code = (
        "import sys\nfrom nica_bench.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["0:10", "3", "0:5,8", "0,2,4:7"])
def test_seeds_and_their_text(text):
    assert seeds_text(parse_seeds(text)) == text


# What the README says


def _readme_commands():
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"nica-bench ((?:run|list|info|table|show) [^`#\n]*)", text)
    return list(dict.fromkeys(command.strip() for command in found if "--help" not in command))


def _run_example(tmp_path):
    """The README's method file, under the name that its command gives it."""
    text = (ROOT / "README.md").read_text()
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "(Method)" in b)
    (tmp_path / "whitening.py").write_text(block)


def test_the_readme_has_commands():
    assert len(_readme_commands()) >= 6


@pytest.mark.parametrize("command", _readme_commands())
def test_commands_of_the_readme(command, tmp_path, call, monkeypatch):
    _run_example(tmp_path)
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path))
    arguments = shlex.split(command)
    if "./data.npz" in arguments:
        generator = np.random.default_rng(0)
        np.savez("data.npz", x=generator.normal(size=(400, 4)), u=generator.integers(0, 3, 400))
    if arguments[-1] == "mnist":
        # it needs files: that it is understood shows in what is missing
        code, _, said = call(*arguments)
        assert code == 2
        assert "'nica-bench data mnist' downloads them" in said
        return
    if arguments[0] == "run":
        code, _, said = call(*arguments, "--dry-run")
        assert "to run" in said
    elif arguments[0] in ("table", "show"):
        # they need records: that they are understood shows in what is missing
        code, _, said = call(*arguments)
        assert code == 2
        assert said == f"error: {tmp_path / 'results'} does not exist\n"
        return
    else:
        code, text, said = call(
            *arguments, *(["--samples", "100", "--held-out", "100"] if "--seeds" in arguments else [])
        )
        assert text
    assert code == 0, said


def test_the_readmes_method_runs(tmp_path):
    _run_example(tmp_path)
    option = ["-m", "./whitening.py[shrinkage=0.1]"]
    done = nica("run", "-s", "gauss-2of4", *SMALL, "--seeds", "0:2", "--jobs", "1", *option, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "whitening[shrinkage=0.1]: 2 runs, 0 there, 2 to run" in done.stderr
