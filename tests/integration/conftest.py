"""A real Slurm: its tests are skipped where none is up, and take turns where several processes run tests."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from helpers.slurm import Sweep


@pytest.fixture(scope="session")
def slurm_is_up():
    if shutil.which("sinfo") is None:
        pytest.skip("Slurm is not installed: .ci/slurm/up.sh starts one")
    answer = subprocess.run(["sinfo", "--noheader", "--format=%P"], capture_output=True, text=True, timeout=60)
    if answer.returncode or not {"main*", "high"} <= set(answer.stdout.split()):
        *_, said = ("it says nothing", *answer.stdout.splitlines(), *answer.stderr.splitlines())
        pytest.skip(f"no Slurm as .ci/slurm/up.sh starts it: {said}")


@pytest.fixture
def slurm(slurm_is_up, tmp_path, monkeypatch):
    with open(Path(tempfile.gettempdir(), "nica-bench-slurm-tests.lock"), "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        monkeypatch.setenv("WAITING_LOGS", str(tmp_path))
        sweep = Sweep(tmp_path)
        yield sweep
        sweep.end()
