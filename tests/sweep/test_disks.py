"""An output folder that is full or read-only while a sweep writes into it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.cli import SMALL, nica, records, write_method
from nica_bench.records.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a file system of its own")

# the record of a seed has 800 kB of arrays, of which the disk holds one
LARGE = """
        return Fitted(lambda x, u: x, np.ones(D), loss_curve=np.random.default_rng(0).normal(size=100_000))
"""


@pytest.fixture
def disk(tmp_path):
    """A small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1500k", "nica-bench", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_a_disk_that_fills_loses_no_finished_cell_and_the_sweep_goes_on(tmp_path, disk, cluster):
    option = write_method(tmp_path, "large", LARGE)
    asked = ["sweep", "-s", "gauss-2of4", *SMALL, "--seeds", "0:3", "--jobs", "1", *option, "--cluster", cluster]
    done = nica(*asked, "--out", disk / "out", cwd=tmp_path)
    assert done.returncode == 3
    assert "the disk is full; finished runs are kept" in done.stderr
    assert "Traceback" not in done.stderr
    scan = Store.open(disk / "out", create=False).scan()
    first = {key: record for key, record in scan.records.items() if record.status == "ok"}
    assert (len(first), scan.broken) == (1, {})
    assert not list(disk.rglob(".tmp-*"))
    remount(disk, "size=20m")
    done = nica(*asked, "--out", disk / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = Store.open(disk / "out", create=False).scan().records
    assert sorted(r["status"] for r in records(disk / "out").values()) == ["ok"] * 3
    assert first.items() <= again.items()


def test_a_disk_that_is_read_only_is_said_before_anything_is_submitted(tmp_path, disk):
    asked = ["sweep", "-s", "gauss-2of4", *SMALL, "-m", "raw-x", "--seeds", "0:2", "--out", disk / "out"]
    assert nica(*asked, "--cluster", "debug", cwd=tmp_path).returncode == 0
    remount(disk, "ro")
    more = nica(*asked, "--seeds", "0:4", cwd=tmp_path)
    assert (more.returncode, "cannot be written to: Read-only file system" in more.stderr) == (2, True)
    shown = nica("status", "--out", disk / "out", cwd=tmp_path)
    assert shown.stdout.splitlines()[-1].split() == ["all", "2", "2", "0", "0", "0", "0"]
    remount(disk, "rw")
    assert "4 runs: 2 there, 2 to submit" in nica(*asked, "--seeds", "0:4", cwd=tmp_path).stderr
