"""What may happen to a run: interrupts, kills, a full disk, methods that break their contract."""

from __future__ import annotations

import functools
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.cli import HEAD, SMALL, dead, end, nica, records, start, wait_for, write_method
from nica_bench.records.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs signals and /proc")

TO_STOP = {
    "Ctrl-C in a terminal": (signal.SIGINT, True, 130),
    "SIGINT to the parent": (signal.SIGINT, False, 130),
    "SIGTERM": (signal.SIGTERM, False, 143),
    "SIGTERM to all": (signal.SIGTERM, True, 143),
    "kill -9": (signal.SIGKILL, False, -signal.SIGKILL),
}
STOPS_AT_SECOND_FIT = """
        global fits
        fits = globals().get("fits", 0) + 1
        if fits == 2 and Path("block").exists():
            Path("blocked").write_text(str(os.getpid()))
            time.sleep(1000)
        return Fitted(lambda x, u: x, np.ones(D))
"""


def _heed_interrupts():
    """A shell lets the jobs in its background ignore Ctrl-C, and their children after them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_run_that_is_stopped_keeps_what_is_finished_and_goes_on(tmp_path):
    """However it is stopped, each attempt ends its workers and leaves one more run, computed once."""
    option = write_method(tmp_path, "slow", STOPS_AT_SECOND_FIT)
    blocked = tmp_path / "blocked"
    (tmp_path / "block").touch()
    command = ["run", "-s", "gauss-2of4", *SMALL, "--seeds", f"0:{len(TO_STOP) + 1}", "--jobs", "1", *option]
    kept = {}
    for i, (number, everybody, code) in enumerate(TO_STOP.values()):
        process = start(*command, cwd=tmp_path, start_new_session=True, preexec_fn=_heed_interrupts)
        wait_for(lambda: blocked.exists() and blocked.read_text(), process)
        worker = int(blocked.read_text())
        blocked.unlink()
        (os.killpg if everybody else os.kill)(process.pid, number)
        done = end(process)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        wait_for(functools.partial(dead, worker))
        assert f"slow: {len(TO_STOP) + 1} runs, {i} there" in done.stderr
        if code > 0:
            assert f"stopped: {i + 1} of {len(TO_STOP) + 1} runs are kept" in done.stderr
        scan = Store.open(tmp_path / "results", create=False).scan()
        assert not scan.broken
        finished = {key: record for key, record in scan.records.items() if record.status == "ok"}
        assert len(finished) == i + 1
        assert {key: finished[key] for key in kept} == kept
        kept = finished
    (tmp_path / "block").unlink()
    done = nica(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{len(TO_STOP)} there, 1 to run" in done.stderr
    last = Store.open(tmp_path / "results", create=False).scan().records
    assert {key: last[key] for key in kept} == kept
    assert len(last) == len(TO_STOP) + 1


BROKEN = {
    "raises": ("raise RuntimeError('no luck')", "error", "RuntimeError: no luck (raises.py, line "),
    "nothing": ("return None", "error", "fit must return a Fitted, got NoneType"),
    "deep": ("return Fitted(lambda x, u: x[:, :, None], np.ones(D))", "error", "codes need shape (200, codes), got"),
    "short": ("return Fitted(lambda x, u: x[1:], np.ones(D))", "error", "got (199, 4)"),
    "empty": ("return Fitted(lambda x, u: x[:, :0], np.ones(0))", "error", "got (200, 0)"),
    "text": ("return Fitted(lambda x, u: x.astype(str), np.ones(D))", "error", "codes need real numbers"),
    "longer": ("return Fitted(lambda x, u: x, np.ones(D + 1))", "error", "importance needs shape (4,), got (5,)"),
    "named": ("return Fitted(lambda x, u: x, np.ones(D), {'../a': np.ones(D)})", "error", "names of rankings"),
    "nan": ("return Fitted(lambda x, u: x * np.nan, np.ones(D))", "error", "800 of 800 test codes are not finite"),
    "constant": ("return Fitted(lambda x, u: 0 * x, np.ones(D))", "error", "all codes are constant"),
    "unfit": ("return Fitted(lambda x, u: x, np.ones(D), diverged='lost')", "diverged", "lost"),
    "big": ("raise MemoryError('so big')", "oom", "so big"),
    "leaves": ("sys.exit(7)", "killed", "exit code 7"),
    "dies": ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "SIGKILL"),
    "endless": ("while True: time.sleep(0.01); session.report(Progress(1, 2))", "timeout", "the limit of 6 s per run"),
    "good": ("print('hello'); return Fitted(lambda x, u: x, np.ones(D))", "ok", ""),
}


def test_a_failure_is_a_row_and_the_others_go_on(tmp_path):
    options = [o for name, (body, *_) in BROKEN.items() for o in write_method(tmp_path, name, body)]
    command = ["run", "-s", "gauss-2of4", *SMALL, "--seeds", "0", "--jobs", "1", "--timeout", "6"]
    done = nica(*command, *options, "-m", "pca", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "hello" not in done.stdout
    found = records(tmp_path / "results")
    assert len(found) == len(BROKEN) + 1
    assert found["pca", 0, 0]["status"] == "ok"
    for name, (_, status, says) in BROKEN.items():
        record = found[name, 0, 0]
        assert (record["status"], says in record["message"]) == (status, True), record["message"]
        if status != "ok":
            assert f"{status}: {name} on gauss-2of4" in done.stderr
    # those that were killed from outside are tried again, the others where it is asked for
    again = nica(*command, *options, "--retry", "timeout,oom", "--dry-run", cwd=tmp_path).stderr
    waiting = {name for name in BROKEN if f"  {name}: 1 run, 0 there, 1 to run" in again}
    assert waiting == {"dies", "leaves", "endless", "big"}


def test_a_worker_that_is_killed_fails_its_own_cells_only(tmp_path):
    option = write_method(tmp_path, "slow", STOPS_AT_SECOND_FIT)
    blocked = tmp_path / "blocked"
    (tmp_path / "block").touch()
    command = ["run", "-s", "gauss-2of4", *SMALL, "--seeds", "0:3", "--jobs", "1", *option, "-m", "pca"]
    process = start(*command, cwd=tmp_path)
    wait_for(lambda: blocked.exists() and blocked.read_text(), process)
    (tmp_path / "block").unlink()
    os.kill(int(blocked.read_text()), signal.SIGKILL)
    done = end(process)
    assert done.returncode == 3, done.stderr
    assert "killed: slow on gauss-2of4" in done.stderr
    assert "1 run (seeds 1): the worker process ended: SIGKILL" in done.stderr
    found = records(tmp_path / "results")
    assert {seed: r["status"] for (name, seed, _), r in found.items() if name == "slow"} == {
        0: "ok",
        1: "killed",
        2: "ok",
    }
    assert [r["status"] for (name, *_), r in found.items() if name == "pca"] == ["ok"] * 3
    done = nica(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "slow: 3 runs, 2 there, 1 to run" in done.stderr
    assert records(tmp_path / "results")["slow", 1, 0]["status"] == "ok"


def test_full_disk_is_said_and_nothing_is_lost(tmp_path):
    body = "\n        n = 100_000 if Path('first').exists() else 10\n        Path('first').touch()"
    body += "\n        return Fitted(lambda x, u: x, np.ones(D), loss_curve=np.random.default_rng(0).normal(size=n))"
    option = write_method(tmp_path, "large", body)
    command = ["run", "-s", "gauss-2of4", *SMALL, "--seeds", "0:2", "--jobs", "1", *option]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # noqa: E731
    done = nica(*command, cwd=tmp_path, preexec_fn=limit, measured=False)
    assert done.returncode == 3, done.stderr
    assert "cannot write" in done.stderr
    assert "finished runs are kept" in done.stderr
    assert "Traceback" not in done.stderr
    scan = Store.open(tmp_path / "results", create=False).scan()
    assert (len(scan.records), scan.broken) == (1, {})
    assert not list(tmp_path.rglob(".tmp-*"))
    done = nica(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 there, 1 to run" in done.stderr


def test_two_runs_at_once_in_one_folder(tmp_path):
    command = ["run", "-s", "gauss-2of4", *SMALL, "--seeds", "0:6", "--jobs", "1", "-m", "raw-x", "-m", "pca"]
    for done in [end(p) for p in [start(*command, cwd=tmp_path) for _ in range(2)]]:
        assert done.returncode == 0, done.stderr
        assert "12 records" in done.stdout
    store = Store.open(tmp_path / "results", create=False)
    scan = store.scan()
    assert (len(scan.records), scan.broken) == (12, {})
    assert all(store.arrays(key) for key in scan.records)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise ValueError('not here')", "line 10 does not import: ValueError: not here"),
        ("os._exit(5)", "worker processes end before they begin: exit code 5"),
    ],
)
def test_a_method_file_that_does_not_import_in_a_worker(body, says, tmp_path):
    option = write_method(tmp_path, "strange", "pass")
    path = tmp_path / "strange.py"
    path.write_text(
        path.read_text().replace(
            HEAD, f"{HEAD}import multiprocessing\nif multiprocessing.parent_process():\n    {body}\n"
        )
    )
    done = nica("run", "-s", "gauss-2of4", *SMALL, "--seeds", "0", "--jobs", "1", *option, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_command_gives_the_same_bits(tmp_path):
    """Whatever the number of workers, and so the groups in which replicates train; by either schedule."""
    methods = [
        "gin[steps=10]",
        "gin[schedule=paper,batch=400,blocks=1]",
        "ivae[steps=10]",
        "fastica",
        "pca",
        "label-only",
    ]
    command = ["run", "-s", "gauss-2of4", *SMALL, "--seeds", "0:2", "--training-seeds", "2"]
    found = []
    for jobs in (1, 2):
        options = [option for method in methods for option in ("-m", method)]
        done = nica(*command, *options, "--jobs", jobs, "--out", f"out{jobs}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found.append(Store.open(tmp_path / f"out{jobs}", create=False))
    first, second = (store.scan().records for store in found)
    assert list(first) == list(second)
    assert len(first) == len(methods) * 4
    for key, record in first.items():
        for part in ("scores", "dimensions", "difficulty", "truth"):
            assert getattr(record, part) == getattr(second[key], part), (record.spec.method_label, part)
        arrays, again = (store.arrays(key) for store in found)
        assert list(arrays) == list(again)
        for name, values in arrays.items():
            # with the paper's schedule the curve goes on until the whole group has converged
            steps = min(len(values), len(again[name])) if name == "loss" else None
            np.testing.assert_array_equal(values[:steps], again[name][:steps], record.spec.method_label)
        assert record.training.get("heldout_loss") == second[key].training.get("heldout_loss")
    gin = {
        (r.spec.method_label, r.spec.seed, r.spec.training_seed): r for r in first.values() if r.spec.method == "gin"
    }
    assert len({r.scores["mcc"] for r in gin.values()}) == 8
    for (label, *_), record in gin.items():
        assert record.training["steps"] == 10 if "paper" not in label else record.training["steps"] > 10


def test_tracebacks_of_fits_with_debug(tmp_path):
    option = write_method(tmp_path, "raises", "raise RuntimeError('no luck')")
    done = nica("--debug", "run", "-s", "gauss-2of4", *SMALL, "--seeds", "0", "--jobs", "1", *option, cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert str(Path(tmp_path, "raises.py")) in done.stderr
