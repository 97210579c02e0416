"""Data of one's own: files are read, checked and split, and their content is part of the key."""

import io
import json
import os

import numpy as np
import pandas as pd
import pytest

from helpers.cli import nica, records
from nica_bench import Dataset, UsageError
from nica_bench.dataset import parts_by_seed
from nica_bench.files import columns
from nica_bench.registry import make_method, make_scenario, scenario_text
from nica_bench.running.plan import Run


def arrays(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.permutation(np.arange(rows) % 3)
    z = rng.normal(size=(rows, 2)) * (1 + u[:, None])
    return {"x": z @ [[1.0, 2.0, 0.5], [-1.0, 1.0, 3.0]], "u": u, "z": z}


def write(path, kept=("x", "u", "z"), **changes):
    """One file of these arrays, by the ending of its name."""
    data = {name: value for name, value in (arrays() | changes).items() if name in kept or name in changes}
    if path.suffix == ".npz":
        np.savez(path, **data)
        return path
    frame = pd.DataFrame()
    for name, value in data.items():
        for i, column in enumerate(np.atleast_2d(value.T) if value.ndim == 2 else [value]):
            frame[f"{name}{i}" if value.ndim == 2 else name] = column
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


def key(path):
    return Run(make_scenario(str(path)), make_method("pca"), 0, 0).spec.key


@pytest.mark.parametrize("name", ["d.npz", "d.csv", "d.parquet"])
def test_every_kind_of_file_gives_the_same_data(tmp_path, name):
    data = make_scenario(str(write(tmp_path / name))).generate(3)
    whole = arrays()
    rows = np.concatenate([split.x for split in data.splits])
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(whole["x"], axis=0))
    assert (data.n_latents, data.n_observed, data.conditions) == (2, 3, 3)
    assert [len(split.x) for split in data.splits] == [180, 60, 60]
    linear = np.linalg.lstsq(data.test.z, data.test.x, rcond=None)[1]  # rows of x and z still belong together
    assert linear.max() < 1e-20
    np.testing.assert_array_equal(np.bincount(data.test.u), [20, 20, 20])


def test_the_seed_draws_the_split_and_nothing_else(tmp_path):
    scenario = make_scenario(str(write(tmp_path / "d.npz")))
    first, again, other = (scenario.generate(seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.x, other.train.x)
    seen = {row.tobytes() for row in first.train.x}
    assert not seen & {row.tobytes() for row in first.test.x}


def test_each_condition_is_split_in_its_own_shares():
    labels = np.repeat([0, 1, 2], [10, 100, 1])
    for seed in range(5):
        part = parts_by_seed(labels, 0.2, seed)
        counts = [np.bincount(part[labels == k], minlength=3).tolist() for k in range(3)]
        assert counts == [[6, 2, 2], [60, 20, 20], [1, 0, 0]]


def test_a_split_that_the_file_says_is_kept(tmp_path):
    split = np.array(["train", "validation", "test"])[np.arange(300) % 3]
    scenario = make_scenario(str(write(tmp_path / "d.npz", split=split)))
    data = scenario.generate(7)
    for number, part in enumerate(data.splits):
        np.testing.assert_array_equal(part.x, arrays()["x"][number::3])
    assert scenario.default_seeds == "0"
    numbers = make_scenario(str(write(tmp_path / "n.csv", split=np.arange(300) % 3))).generate(0)
    np.testing.assert_array_equal(numbers.test.u, data.test.u)


def test_conditions_are_numbered_in_their_order():
    whole = arrays()
    data = Dataset.from_arrays(whole["x"], np.array(["low", "mid", "top"])[whole["u"]])
    assert data.truth["condition_values"] == ["low", "mid", "top"]
    plain = Dataset.from_arrays(whole["x"], whole["u"].astype(float))
    np.testing.assert_array_equal(data.train.u, plain.train.u)
    assert plain.n_latents is None
    assert Dataset.from_arrays(whole["x"]).conditions == 1


def test_columns_are_put_in_order_and_others_are_named(tmp_path):
    whole = arrays()
    frame = pd.DataFrame(
        {f"x{i}": whole["x"][:, i % 3] + i for i in (10, 2, 0, 1)} | {"id": range(300), "u": whole["u"]}
    )
    frame.to_csv(tmp_path / "d.csv", index=False)
    scenario = make_scenario(str(tmp_path / "d.csv"))
    data = scenario.generate(0)
    order = data.train.x - data.train.x.mean(0) + 0  # x0, x1, x2, x10
    np.testing.assert_allclose(order[:, 1], order[:, 3])
    assert "not used: id" in scenario.warnings()


def test_the_content_is_part_of_the_key(tmp_path):
    path = write(tmp_path / "d.npz")
    first = key(path)
    (tmp_path / "sub").mkdir()
    copy = tmp_path / "sub" / "d.npz"
    copy.write_bytes(path.read_bytes())
    assert key(copy) == first
    assert key(write(path, x=arrays(seed=1)["x"])) != first
    assert key(write(path)) == first


def test_a_file_that_changes_during_a_run_is_refused(tmp_path):
    path = write(tmp_path / "d.npz")
    scenario = make_scenario(str(path))
    write(path, x=arrays(seed=1)["x"])
    with pytest.raises(UsageError, match="was changed during the run"):
        scenario.generate(0)


BAD = [
    ({"kept": ("u",)}, "has no x"),
    ({"x": np.full((300, 3), np.nan)}, "not finite, the first in row 0"),
    ({"x": np.arange(300.0)}, r"real numbers of shape \(rows, columns\)"),
    ({"x": np.array([["a"] * 3] * 300)}, "needs real numbers"),
    ({"u": np.arange(300)}, "u has 300 values in 300 rows"),
    ({"u": np.full(300, 0.5)}, "whole numbers or texts"),
    ({"u": np.zeros(299, int)}, "x and u need one number of rows, got 300 and 299"),
    ({"z": np.zeros((10, 2))}, "x and z need one number of rows"),
    ({"split": np.full(300, 3)}, "split is 0, 1, 2 or train, validation, test for each row, got '3'"),
    ({"split": np.zeros(300, int)}, "the validation part needs at least 2 rows, got 0 of 300"),
    ({"split": np.where(arrays()["u"] == 2, 2, np.arange(300) % 2)}, "no training row has the condition 2"),
    ({"image_shape": np.array([1, 2, 2])}, r"images of shape \(1, 2, 2\) have 4 numbers, but x has 3 columns"),
    ({"image_shape": np.array([3])}, r"image_shape is \(channels, height, width\)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:20] for _, message in BAD])
def test_bad_arrays_are_refused(tmp_path, changes, message):
    path = write(tmp_path / "bad.npz", **changes)
    with pytest.raises(UsageError, match=message) as error:
        make_scenario(str(path))
    assert "bad.npz" in str(error.value)


def test_what_is_no_data_file_is_refused(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([object()] * 4))
    for name, content in (
        ("a.npz", b"no zip"),
        ("b.parquet", b"PAR1"),
        ("c.csv", b"\xff\xfe"),
        ("d.npz", buffer.getvalue()),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=name):
            make_scenario(str(tmp_path / name))
    with pytest.raises(UsageError, match="there is no data file"):
        make_scenario(str(tmp_path / "nothing.npz"))
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UsageError, match=r"folder.npz"):
        make_scenario(str(tmp_path / "folder.npz"))
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(UsageError, match="expected a regular file"):
        make_scenario(str(tmp_path / "pipe.npz"))
    bomb = write(tmp_path / "zeros.npz")
    np.savez_compressed(bomb, x=np.zeros((20_000, 3)))
    monkeypatch.setattr(columns, "MOST_BYTES", 100_000)
    with pytest.raises(UsageError, match="at most 100,000 bytes after decompression, got 480,"):
        make_scenario(str(bomb))


def test_parameters_are_checked(tmp_path):
    path = write(tmp_path / "d.npz")
    with pytest.raises(UsageError, match="held_out"):
        make_scenario(f"{path}[held_out=0.5]")
    with pytest.raises(UsageError, match="stand_in is for files without z"):
        make_scenario(f"{path}[stand_in=2]")
    assert len(make_scenario(f"{path}[held_out=0.1]").generate(0).test.x) == 30
    assert make_scenario(f"{write(tmp_path / 'n.npz', kept=('x',))}[stand_in=2]").stand_in_latents == 2


def test_a_job_finds_the_file_in_any_folder(tmp_path, monkeypatch):
    write(tmp_path / "d.npz")
    monkeypatch.chdir(tmp_path)
    text = scenario_text("./d.npz[held_out=0.1]", make_scenario("./d.npz[held_out=0.1]"))
    assert text == f"{tmp_path / 'd.npz'}[held_out=0.1]"
    monkeypatch.chdir("/")
    assert make_scenario(text).name == "d.npz"


def test_a_run_on_a_file_and_on_another_under_its_name(tmp_path):
    path = write(tmp_path / "d.npz")
    run = ["run", "-s", "./d.npz", "-m", "pca", "-m", "fastica", "--seeds", "0:2", "--device", "cpu", "--out", "out"]
    assert nica(*run, cwd=tmp_path).returncode == 0
    before = records(tmp_path / "out")
    assert len(before) == 4
    assert "2 runs, 2 there, 0 to run" in nica(*run, "--dry-run", cwd=tmp_path).stderr
    write(path, x=arrays(seed=1)["x"] * 2)
    assert nica(*run, cwd=tmp_path).returncode == 0
    assert len(list((tmp_path / "out" / "cells").glob("*.json"))) == 8
    shown = nica("info", "./d.npz", "--seeds", "0:2", cwd=tmp_path)
    assert "linear_r" in shown.stdout
    assert "log_det_sd" not in shown.stdout


def test_a_file_without_latents_and_conditions_has_the_scores_that_need_neither(tmp_path):
    write(tmp_path / "x.csv", kept=("x",))
    run = ["run", "-s", "./x.csv", "-m", "pca", "-m", "fastica", "--seeds", "0", "--device", "cpu", "--out", "out"]
    done = nica(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "it needs the number of latents, which is unknown" in done.stderr  # fastica is told n
    [record] = [r for r in records(tmp_path / "out").values() if r["status"] == "ok"]
    assert record["scores"]["mcc"] is None
    assert record["scores"]["knee"] >= 0
    assert "bayes" not in record["scores"]  # of one condition every accuracy is 1


def test_a_sweep_finds_the_file_from_its_jobs(tmp_path):
    write(tmp_path / "d.npz")
    (tmp_path / "sweep.toml").write_text(
        'seeds = "0:2"\n[[scenario]]\nname = "./d.npz"\nheld_out = [0.1, 0.2]\n[[method]]\nname = "raw-x"\n'
    )
    done = nica("sweep", "sweep.toml", "--cluster", "debug", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "d.npz[held_out=0.1]" in done.stdout
    made = [json.loads(path.read_text()) for path in (tmp_path / "out" / "cells").glob("*.json")]
    assert [r["status"] for r in made] == ["ok"] * 4
    again = nica("show", made[0]["key"][:12], "--out", "out", cwd=tmp_path)
    assert f"d.npz: the data file whose SHA-256 begins with {made[0]['spec']['scenario_version'][2:]}" in again.stdout
    assert "nica-bench run -s ./d.npz" in again.stdout.replace("'", "")
