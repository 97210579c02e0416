"""Methods and scenarios of an installed package, and of a file, are found, checked and run."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers import ROOT

PACKAGE = ROOT / "tests" / "packages" / "nica_bench_extra"


@pytest.fixture(scope="module")
def extra(tmp_path_factory):
    """Environment in which the package is installed, into a folder of its own and without a network."""
    folder = tmp_path_factory.mktemp("extra")
    source = shutil.copytree(PACKAGE, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "--target", folder / "site", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def nica_bench(environment, *arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "nica_bench", *map(str, arguments)],
        env=environment, cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_entry_points_are_listed(extra):
    methods = nica_bench(extra, "list", "methods").stdout
    assert "centred" in methods
    assert "random-codes" in methods
    assert "uniform-<n>of<D>" in nica_bench(extra, "list", "scenarios").stdout
    assert "number of codes" in nica_bench(extra, "list", "metrics").stdout
    assert "number of codes" in nica_bench(extra, "info", "width").stdout


def test_a_package_runs_like_what_is_built_in(extra, tmp_path):
    run = ["run", "-s", "uniform-2of3", "-m", "centred[factor=2]", "-m", "random-codes", "-m", "pca", "--width", "2"]
    done = nica_bench(extra, *run, "--seeds", "0:2", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    for name in ("centred[factor=2.0]", "random-codes", "uniform-2of3[width=2.0]"):
        assert name in done.stdout
    assert len(list((tmp_path / "cells").glob("*.json"))) == 6
    table = nica_bench(extra, "table", "--out", tmp_path, "--metric", "width")
    assert table.returncode == 0, table.stderr
    assert "number of codes" in table.stdout


@pytest.mark.parametrize("name", ["methods", "random_codes", "scenarios"])
def test_a_package_keeps_the_contract(extra, name):
    file = PACKAGE / "src" / "nica_bench_extra" / f"{name}.py"
    done = nica_bench(extra, "check", file)
    assert done.returncode == 0, done.stdout
    assert "no findings" in done.stdout


def test_a_broken_entry_point_is_named(tmp_path):
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nica_bench.methods]\nmine = nowhere_at_all.methods\n")
    done = nica_bench({**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}, "list", "methods")
    assert done.returncode == 2
    assert "mine = nowhere_at_all.methods" in done.stderr


def test_new_files_are_checked_and_run(tmp_path):
    for kind, name in (("method", "my-method"), ("scenario", "my-data")):
        assert nica_bench(os.environ, "new", kind, name, cwd=tmp_path).returncode == 0
        done = nica_bench(os.environ, "check", f"{name.replace('-', '_')}.py", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    run = ["run", "-s", "./my_data.py:2of3", "--samples", "300", "-m", "./my_method.py[shrinkage=0.1]", "-m", "raw-x"]
    done = nica_bench(os.environ, *run, "--seeds", "0:2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "my-method[shrinkage=0.1]" in done.stdout
    (tmp_path / "deep").mkdir()
    saved = nica_bench(os.environ, "new", "method", "other", "--save", "deep/mine.py", cwd=tmp_path)
    assert "nica-bench run -s gauss-2of4 -m ./deep/mine.py --seeds 0:3" in saved.stdout
    taken = nica_bench(os.environ, "new", "method", "pca", cwd=tmp_path)
    assert (taken.returncode, "a method 'pca' exists" in taken.stderr) == (2, True)
    again = nica_bench(os.environ, "new", "method", "my-method", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists: choose another file" in again.stderr
