"""Runs from a program: the same records as the command line, for objects that no module holds too."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import numpy as np
import pytest

import nica_bench as nb
from helpers.cli import nica, records
from nica_bench.records.record import Status

SCENARIO = "gauss-2of4[conditions=3,samples=400,held_out=200]"
CLASSES = '''
import numpy as np
import nica_bench as nb
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Scaled(nb.Method):
    name: ClassVar[str] = "scaled"
    factor: float = nb.parameter(2.0, "of the codes", above=0)
    def fit(self, observations, streams, session):
        return nb.Fitted(lambda x, u: self.factor * x, observations.train_x.std(0))

class Whitening:
    def __init__(self, ridge=0.0):
        self.ridge = ridge
    def fit(self, x, u):
        values, axes = np.linalg.eigh(np.cov(x, rowvar=False) + self.ridge * np.eye(x.shape[1]))
        self.unmix = axes / np.sqrt(values)
    def transform(self, x):
        return x @ self.unmix
'''  # fmt: skip


def script(folder, code, name="script.py"):
    (folder / name).write_text(textwrap.dedent(code))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, name], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def run(scenarios, methods, seeds=(0,), **options):
    return nb.run(scenarios, methods, seeds, **({"progress": False, "device": "cpu", "jobs": 1} | options))


def test_records_are_those_of_the_command_line(tmp_path):
    runs = run(SCENARIO, ["pca", "raw-x"], range(2), out=tmp_path / "a")
    done = nica("run", "-s", SCENARIO, "-m", "pca", "-m", "raw-x", "--seeds", "0:2", "--out", "b", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours, theirs = records(tmp_path / "a"), records(tmp_path / "b")
    assert ours.keys() == theirs.keys()
    for run_, record in ours.items():
        for field in ("key", "spec", "scores", "dimensions", "truth"):
            assert record[field] == theirs[run_][field]
    assert [r.key for r in runs] == [r.key for r in nb.read(tmp_path / "a")]
    assert ours["pca", 0, 0]["provenance"]["command"] == "nica_bench.run"


def test_a_script_without_a_guard_and_with_classes_of_its_own(tmp_path):
    code = (
        CLASSES
        + f'''
print("begins")
runs = nb.run("{SCENARIO}", [Scaled, Scaled(factor=3.0), Whitening(), Whitening(ridge=0.5)], seeds=2, out="out", jobs=2)
print(sorted((r.spec.method_label, r.status.value) for r in runs))
'''
    )
    done = script(tmp_path, code)
    assert done.returncode == 0, done.stderr
    begins, found = done.stdout.splitlines()  # workers do not run the script again
    assert begins == "begins"
    labels = ["Whitening", "Whitening[ridge=0.5]", "scaled", "scaled[factor=3.0]"]
    assert found == str([(label, "ok") for label in labels])
    assert "4/4" in done.stderr  # progress by lines, where there is no terminal
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").glob("*.json")}
    assert len(made) == 4
    assert script(tmp_path, code).returncode == 0
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").glob("*.json")}
    changed = code.replace("self.factor * x", "-self.factor * x")
    assert script(tmp_path, changed).returncode == 0
    assert len(list((tmp_path / "out" / "cells").glob("*.json"))) == 6  # those of the class that changed, no others


def test_classes_of_a_namespace_as_in_a_notebook(tmp_path):
    namespace = {"__name__": "__main__"}
    exec(CLASSES, namespace)
    runs = run(SCENARIO, [namespace["Scaled"](), namespace["Whitening"]()], out=tmp_path)
    assert [r.status for r in runs] == [Status.OK, Status.OK], [r.message for r in runs]
    again = dict(namespace)
    exec(CLASSES.replace("self.factor * x", "-self.factor * x"), again)
    assert len({r.key for r in [*runs, *run(SCENARIO, again["Scaled"](), out=tmp_path)]}) == 3


def test_classes_of_a_module_beside_the_script(tmp_path):
    (tmp_path / "mine.py").write_text(CLASSES)
    done = script(
        tmp_path,
        f'''
        import nica_bench as nb
        from mine import Scaled, Whitening
        runs = nb.run("{SCENARIO}", [Scaled, Whitening], seeds=1, out="out", progress=False)
        assert [r.status.value for r in runs] == ["ok", "ok"], [r.message for r in runs]
        assert len(nb.read("out")) == 2  # the keys of the workers are those of the plan
    ''',
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_ten_lines_of_a_reader_who_knows_scikit_learn(tmp_path):
    done = script(
        tmp_path,
        f'''
        from sklearn.decomposition import FastICA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        import nica_bench as nb

        data = nb.load("gauss-2of4", conditions=3, seed=0)
        model = make_pipeline(StandardScaler(), FastICA(2, random_state=0)).fit(data.train.x)
        print(nb.mcc(data.test.z, model.transform(data.test.x)), nb.evaluate(data, model)["mcc"])
        runs = nb.run("{SCENARIO}", [nb.wrap(model, "scaled-ica"), "pca"], seeds=range(2))
        print(runs.table())
    ''',
    )
    assert done.returncode == 0, done.stderr
    by_hand, evaluated = map(float, done.stdout.splitlines()[0].split())
    assert by_hand == pytest.approx(evaluated, abs=0.05)
    assert "scaled-ica" in done.stdout


@dataclass(frozen=True)
class Broken(nb.Method):
    name = "broken"

    def fit(self, observations, streams, session):
        raise ValueError("it does not work")


class Unpicklable:
    def __reduce__(self):
        return (exec, ("raise RuntimeError('not in a worker')",))


@dataclass(frozen=True)
class Unsendable(nb.Method):
    name = "unsendable"
    held = None

    def __post_init__(self):
        object.__setattr__(self, "held", Unpicklable())

    def fit(self, observations, streams, session):
        raise AssertionError("it does not come that far")


def test_failures_are_rows(tmp_path):
    runs = run(SCENARIO, [Broken(), "pca", Unsendable()], range(2), out=tmp_path)
    said = {r.spec.method: r.message for r in runs.failed}
    assert len(runs.failed) == 4
    assert "it does not work" in said["broken"]
    assert "a worker cannot make it: RuntimeError: not in a worker" in said["unsendable"]
    assert [r.status for r in runs if r.spec.method == "pca"] == [Status.OK] * 2
    assert "4 failed" in repr(runs)
    assert "it does not work" in repr(runs.table("failures"))


def test_data_of_every_kind(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    np.savez(tmp_path / "file.npz", x=x, z=x[:, :2])
    data = nb.Dataset.from_arrays(x, z=x[:, :2])
    runs = run([tmp_path / "file.npz", nb.make_scenario(data, name="mine"), data], "raw-x", None, out=tmp_path / "out")
    counts = {name: len([r for r in runs if r.spec.scenario == name]) for name in ("file.npz", "mine", "data")}
    assert counts == {"file.npz": 10, "mine": 1, "data": 1}
    assert all(r.scores["mcc_best"] == pytest.approx(1) for r in runs)


def test_metrics_of_ones_own(tmp_path):
    mine = nb.Metric("rows", "of the test data", 0, 1e6, None, compute=lambda v, t, i: len(t.u))
    [record] = run(SCENARIO, "pca", out=tmp_path, metrics=[mine])
    assert record.scores["rows"] == 200
    assert "200.000" in repr(nb.read(tmp_path).table(metric="rows"))


def test_without_a_folder_nothing_is_left():
    runs = run(SCENARIO, "pca")
    [record] = runs
    folder = runs._folder.name
    assert set(runs.select(methods="pca").arrays(record)) >= {"codes", "z", "correlation"}
    assert os.path.isdir(folder)
    del runs
    assert not os.path.exists(folder)


def test_the_environment_of_the_program_stays_as_it_was(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    run(SCENARIO, "raw-x", out=tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gaus-2of4", "pca"), "did you mean 'gauss'"),
        ((SCENARIO, "pcaa"), "did you mean 'pca'"),
        ((SCENARIO, []), "methods is an empty list"),
        ((SCENARIO, 3), "a name, a Method or an object with fit and transform, got int"),
        ((3, "pca"), "a scenario is a name, a file, a Scenario or a Dataset, got int"),
        ((SCENARIO, "pca", "5:1"), "0 <= low < high"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(nb.UsageError, match=message):
        nb.run(*arguments)


@pytest.fixture(scope="module")
def published():
    from helpers import ROOT

    return nb.read(ROOT / "results" / "gauss")


def test_published_results_are_read_and_shown_as_the_command_line_does(published):
    from helpers import ROOT

    assert len(published) > 100
    part = published.select(scenarios="gauss-2of10", methods=["gin", "pca"], seeds=range(5))
    assert {r.spec.method for r in part} == {"gin", "pca"}
    assert {r.spec.seed for r in part} == set(range(5))
    shown = part.table()
    arguments = ["-s", "gauss-2of10", "-m", "gin", "-m", "pca", "--seeds", "0:5", "--format", "markdown"]
    done = nica("table", "--out", ROOT / "results" / "gauss", *arguments, cwd=ROOT)
    assert done.stdout == shown.render("markdown").decode()
    assert json.loads(shown.render("json"))
    assert "<table" in part._repr_html_()
    assert "gin" in repr(shown)
    by = part.table(metric="mcc_best", by="method,scenario")
    assert {row["method"] for row in by.rows} == {"gin", "pca"}


def test_a_frame_and_a_figure(published, tmp_path):
    part = published.select(scenarios="gauss-2of10", methods=["gin", "pca"], seeds="0:5")
    frame = part.to_frame()
    assert len(frame) == len(part)
    assert frame.loc[frame.method == "gin", "mcc"].tolist() == [r.scores["mcc"] for r in part if r.spec.method == "gin"]
    figure = part.plot("scores", save=tmp_path / "scores.png")
    assert type(figure).__name__ == "Figure"
    assert figure.axes[0].has_data()
    assert figure._repr_png_().startswith(b"\x89PNG")  # how a notebook shows it
    assert (tmp_path / "scores.png").stat().st_size > 1000
    with pytest.raises(nb.UsageError, match="unknown kind of figure"):
        part.plot("score")
    with pytest.raises(nb.UsageError, match="does not exist"):
        nb.read(tmp_path / "nothing")
