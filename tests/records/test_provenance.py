from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from nica_bench._version import __version__
from nica_bench.records import provenance as module
from nica_bench.records.provenance import checkout, peak_memory_bytes, provenance

ROOT = Path(module.__file__).parents[2]


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True)


@pytest.fixture(autouse=True)
def fresh():
    checkout.cache_clear()
    yield
    checkout.cache_clear()


@pytest.fixture
def repository(tmp_path):
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    (package / "code.py").write_text("x = 1\n")
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "first")
    return package


def test_provenance_fields(monkeypatch):
    for name in module._SLURM:
        monkeypatch.delenv(name, raising=False)
    started = time.time() - 5
    got = provenance(["nica-bench", "run", "-m", "ivae[lr=1e-3]"], "cpu", 2, started)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert got["nica_bench"] == __version__
    assert got["versions"]["numpy"] == metadata.version("numpy")
    assert set(got["versions"]) == {"torch", "numpy", "scipy", "scikit-learn"}
    assert got["python"] == platform.python_version()
    assert (got["device"], got["threads"], got["slurm"]) == ("cpu", 2, None)
    assert got["command"] == "nica-bench run -m 'ivae[lr=1e-3]'"
    assert all(isinstance(got[name], str) and got[name] for name in ("platform", "host", "cpu"))
    assert got["git"] is None or set(got["git"]) == {"commit", "dirty"}
    first, last = (datetime.fromisoformat(got[name]) for name in ("started", "ended"))
    assert first.utcoffset() == UTC.utcoffset(None)
    assert first.timestamp() == pytest.approx(started, abs=1e-3)
    assert (last - first).total_seconds() >= 5


def test_slurm_ids(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    assert provenance([], "cpu", 1, 0.0)["slurm"] == {"SLURM_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "3"}


def test_missing_package_is_none():
    assert module.package_version("no-such-package-at-all") is None


def test_clean_checkout(repository):
    commit = git(repository, "rev-parse", "HEAD").stdout.strip()
    assert checkout(repository) == (commit, False)


@pytest.mark.parametrize(
    ("name", "dirty"),
    [("package/code.py", True), ("package/new.py", True), ("a b/né.py", True), ("results.json", False)],
)
def test_dirty(repository, name, dirty):
    path = repository.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("y = 2\n")
    assert checkout(repository)[1] is dirty


def test_published_results_are_no_code(repository):
    """They are made one after another in one checkout: the first must not make the code of the second another."""
    table = repository.parent / "results" / "table.md"
    table.parent.mkdir()
    table.write_text("old\n")
    git(repository.parent, "add", "--all")
    git(repository.parent, "commit", "--quiet", "--message", "results")
    table.write_text("new\n")
    assert checkout(repository)[1] is False


def test_answer_is_kept_for_the_process(repository):
    before = checkout(repository)
    (repository / "code.py").write_text("y = 2\n")
    assert checkout(repository) == before


def test_installed_inside_another_repository(repository):
    inside = repository.parent / ".venv" / "package"
    inside.mkdir(parents=True)
    (inside / "code.py").write_text("x = 1\n")
    assert checkout(inside) == (None, None)


def test_repository_without_commit(tmp_path):
    (tmp_path / "code.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    assert checkout(tmp_path) == (None, None)


def test_not_a_checkout(tmp_path):
    assert checkout(tmp_path) == (None, None)


def test_no_git(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout(repository) == (None, None)


def test_a_git_that_does_not_answer_in_time_counts_as_none(repository, monkeypatch, tmp_path):
    program = tmp_path / "git"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(10)\nprint('{'a' * 40}')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    monkeypatch.setattr(module, "_GIT_SECONDS", 0.2)
    assert checkout(repository) == (None, None), "what it says after that is not waited for"


def test_git_variables_are_ignored(repository, monkeypatch, tmp_path):
    expected = checkout(repository)
    checkout.cache_clear()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert checkout(repository) == expected


def test_peak_memory_covers_an_allocation():
    before = peak_memory_bytes()
    block = bytearray(os.urandom(1)) * (before + 50_000_000)
    assert peak_memory_bytes() > before + 10_000_000
    assert len(block) < 1e12


@pytest.mark.skipif(sys.platform != "linux", reason="inheritance of peaks is a matter of Linux")
def test_peak_memory_is_not_the_parents():
    code = (
        "import subprocess, sys; block = bytearray(b'x') * 400_000_000;"
        "child = 'from nica_bench.records.provenance import peak_memory_bytes as p; print(p())';"
        "print(subprocess.run([sys.executable, '-c', child], capture_output=True, text=True, check=True).stdout)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert 1_000_000 < int(done.stdout) < 300_000_000


def test_peak_memory_fallbacks(monkeypatch):
    pytest.importorskip("resource")
    monkeypatch.setattr(sys, "platform", "freebsd")
    from_resource = peak_memory_bytes()
    monkeypatch.setitem(sys.modules, "resource", None)
    from_psutil = peak_memory_bytes()
    assert min(from_psutil, from_resource) > 1_000_000
    assert from_resource < 1e12


def test_no_heavy_imports():
    code = (
        "import sys, nica_bench.records.store, nica_bench.records.provenance as p; p.provenance([], 'cpu', 1, 0.0);"
        "print([m for m in ('torch', 'pandas', 'scipy', 'sklearn') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
