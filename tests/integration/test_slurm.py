"""Sweeps on a real Slurm: each ends by itself whatever is done to its jobs, and no run is lost or computed twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest

from helpers.cli import end, nica, start, wait_for
from helpers.slurm import SMALL, WAITING, call, gated, hungry, waiting

pytestmark = pytest.mark.slurm


def assert_sums(slurm, runs, **statuses):
    """Each run has one record, the statuses are these, and what ended well was fitted once."""
    assert len(slurm.records()) == runs
    assert slurm.statuses() == Counter(statuses)
    assert set(slurm.finished().values()) <= {1}


def test_a_sweep_of_arrays_completes_and_equals_run(slurm):
    (slurm.folder / "sweep.toml").write_text(
        f"""
        out = "out"
        seeds = "0:8"
        scenario = ["gauss-2of10", "gamma-2of10"]
        samples = 200
        held-out = 100
        device = "cpu"
        metrics = ["mcc", "mcc_within"]
        method = ["raw-x", "{WAITING}"]

        [slurm]
        memory = "600M"
        runs_per_job = 8
        """
    )
    more = ["sweep.toml", "--conditions", "3"]
    done = slurm.run("--training-seeds", "2", *more, small=[])
    assert done.returncode == 0, done.stderr
    keys = {path.stem for path in (slurm.out / "cells").glob("*.json")}
    assert len(keys) == 64
    assert set(slurm.statuses()) == {"ok"}
    assert set(slurm.finished().values()) == {2}  # the two initialisations
    assert slurm.submitted() == 1
    made = {r["provenance"]["slurm"]["SLURM_ARRAY_TASK_ID"] for r in slurm.records().values()}
    assert len(made) > 1
    assert "mcc_within" in done.stdout

    # the same command submits nothing
    again = slurm.run("--training-seeds", "2", *more, small=[])
    assert again.returncode == 0
    assert "64 runs: 64 there, 0 to submit" in again.stderr
    assert slurm.submitted() == 1

    arguments = ["-m", "raw-x", "-m", WAITING, *SMALL, "-s", "gamma-2of10", "--conditions", "3"]
    ran = nica("run", *arguments, "--seeds", "0:8", "--training-seeds", "2", "--out", "ran", cwd=slurm.folder)
    assert ran.returncode == 0, ran.stderr
    from nica_bench.records.store import Store

    one, other = Store.open(slurm.out).scan().records, Store.open(slurm.folder / "ran").scan().records
    assert one.keys() == other.keys() == keys
    for key, record in one.items():
        assert record.scores == other[key].scores
        assert record.dimensions == other[key].dimensions
        assert record.arrays.sha256 == other[key].arrays.sha256


def test_preempted_jobs_go_on_where_they_were(slurm):
    process = slurm.start(*waiting(seconds=4, saves=True), "--seeds", "0:12", "--runs-per-job", "6", "--time", "30")
    wait_for(lambda: len(slurm.finished()) >= 2, process)
    begun = set(slurm.jobs("RUNNING"))
    assert begun
    other = slurm.folder / "other.sh"
    other.write_text("#!/bin/bash\nsleep 3\n")
    cpus = call("sinfo", "--noheader", "--partition=high", "--format=%c").strip()
    call("sbatch", "--partition=high", f"--cpus-per-task={cpus}", "--output=/dev/null", "--time=5", other)
    wait_for(lambda: len(slurm.jobs("RUNNING")) == 1 and slurm.jobs("PENDING"), process)
    done = end(process)
    assert done.returncode == 0, done.stderr
    assert_sums(slurm, 12, ok=12)
    # whether a fit was in the middle when Slurm's signal came is Slurm's to decide: tests/sweep/test_stopping.py has that
    restarted = call("sacct", "--noheader", "--parsable2", "--duplicates", "--allocations", "--format=JobID,State")
    assert any(f"{name}|PREEMPTED" in restarted or f"{name}|REQUEUED" in restarted for name in begun), restarted


def test_time_limits(slurm):
    # eight runs of 6 s need more than a job has before it is told to end, and 2,000 s are never there
    long = slurm.start(*waiting(seconds=6), "--seeds", "0:8", "--time", "1")
    end_less = slurm.start(*waiting(seconds=2000), "--seeds", "0:2", "--time", "1", "--requeues", "0", out="never")
    done, never = end(long), end(end_less)
    assert done.returncode == 0, done.stderr
    assert_sums(slurm, 8, ok=8)
    assert any("this job is timed-out" in path.read_text() for path in slurm.out.glob("sweep/arrays/*/*.out"))
    assert never.returncode == 3, never.stderr
    slurm.out = slurm.folder / "never"
    assert slurm.statuses() == {"timeout": 1, "killed": 1}  # the second was not begun
    assert "time limit" in never.stderr


def test_a_killed_worker_a_killed_job_and_a_cancelled_pending_one(slurm):
    process = slurm.start(*gated(), "--seeds", "0:6", "--runs-per-job", "1", "--array-limit", "2")
    wait_for(lambda: len(slurm.jobs("RUNNING")) == 2 and slurm.jobs("PENDING"), process)
    first, second = slurm.jobs("RUNNING")[:2]
    last = slurm.jobs("PENDING")[-1]
    call("scancel", last)
    wait_for(lambda: slurm.begun() >= {first, second}, process)
    orphan = worker_of(second)
    worker_of(first).kill()
    call("scancel", "--signal=KILL", second)
    wait_for(lambda: not orphan.is_running(), process)  # it notices that its job is gone, and could end well before
    slurm.open_gate()
    done = end(process)
    assert done.returncode == 3, done.stderr
    assert_sums(slurm, 6, ok=3, killed=3)
    messages = sorted(r["message"] for r in slurm.records().values() if r["status"] == "killed")
    assert any("the worker process ended: SIGKILL" in m for m in messages), messages
    assert any(f"job {last} ended: CANCELLED" in m or f"job {last} is not known" in m for m in messages), messages
    assert any(f"job {second} ended" in m for m in messages), messages

    # what was killed is taken again by the same command, and nothing else
    again = slurm.run(*gated(), "--seeds", "0:6")
    assert again.returncode == 0, again.stderr
    assert_sums(slurm, 6, ok=6)


def worker_of(job):
    """The process of a job on this machine that computes its runs."""
    number, _, index = job.partition("_")
    for process in psutil.process_iter():
        try:
            variables, command = process.environ(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        of = variables.get("SLURM_ARRAY_JOB_ID"), variables.get("SLURM_ARRAY_TASK_ID")
        if of == (number, index) and "spawn_main" in command:
            return process
    raise AssertionError(f"job {job} has no worker")


def test_out_of_memory_is_a_row_and_less_at_once_with_more_memory_helps(slurm):
    process = slurm.start(*hungry(megabytes=700), "--seeds", "0:1", out="never")
    done = slurm.run(*hungry(megabytes=150), "--seeds", "0:4", "--oom-retries", "1")
    assert done.returncode == 0, done.stderr
    assert "4 runs go again in groups of 2 at most with 1000 MB" in done.stderr
    assert_sums(slurm, 4, ok=4)
    never = end(process)
    assert never.returncode == 3, never.stderr
    slurm.out = slurm.folder / "never"
    assert slurm.statuses() == {"oom": 1}


def test_a_killed_submitter_two_at_once_status_and_cancel(slurm):
    arguments = [*gated(), "--seeds", "0:8", "--runs-per-job", "2", "--array-limit", "2"]
    process = slurm.start(*arguments)
    wait_for(lambda: len(slurm.begun()) == 2, process)
    two = slurm.run(*arguments)
    assert two.returncode == 2
    assert "is sweeping into" in two.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    shown = nica("status", "--out", "out", "--json", cwd=slurm.folder)
    assert '"running": ' in shown.stdout
    process = slurm.start(*arguments)
    lines = iter(process.stderr.readline, "")
    assert any("8 runs: 0 there, 8 in jobs that run already, 0 to submit" in line for line in lines)
    slurm.open_gate()
    done = end(process)
    assert done.returncode == 0, done.stderr
    assert_sums(slurm, 8, ok=8)
    assert slurm.submitted() == 1

    # another sweep is cancelled, and a job that is not its own goes on
    other = slurm.folder / "other.sh"
    other.write_text("#!/bin/bash\nsleep 280\n")
    mine = call("sbatch", "--parsable", "--output=/dev/null", "--mem=50M", "--time=5", other).strip()
    slurm.run(*waiting(seconds=500), "--seeds", "0:8", "--runs-per-job", "1", "--detach")
    wait_for(lambda: len(slurm.jobs("RUNNING")) > 1)
    stopped = nica("cancel", "--out", "out", cwd=slurm.folder)
    assert "cancelled: 8 jobs of 1 array " in stopped.stderr
    assert slurm.jobs("RUNNING") == [mine]
    assert slurm.statuses() == {"ok": 8, "killed": 8}
    assert set(slurm.finished().values()) == {1}


def test_a_submitter_killed_between_sbatch_and_its_note(slurm):
    # the first call of sbatch goes through, and ends the process that made it before that hears of it
    fake = slurm.folder / "bin"
    fake.mkdir()
    real = call("which", "sbatch").strip()
    (fake / "sbatch").write_text(f'#!/bin/bash\n{real} "$@"\nkill -9 $PPID\nsleep 1\n')
    (fake / "sbatch").chmod(0o755)
    arguments = [*waiting(seconds=1), "--seeds", "0:4", "--runs-per-job", "2"]
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{fake}{os.pathsep}{before}"
    try:
        killed = slurm.run(*arguments)
    finally:
        os.environ["PATH"] = before
    assert killed.returncode == -9
    done = slurm.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "found the jobs of" in done.stderr
    assert_sums(slurm, 4, ok=4)
    assert slurm.submitted() == 1


def test_slurm_down_in_the_middle_and_up_again(slurm):
    # the clients look for a controller that is not there, while the jobs go on
    arguments = [*gated(), "--seeds", "0:4", "--runs-per-job", "2", "--array-limit", "1"]
    real = call("scontrol", "show", "config").split("SLURM_CONF")[1].split()[1]
    conf = slurm.folder / "slurm.conf"
    text = Path(real).read_text()
    conf.write_text(text)
    process = start(
        *["sweep", *SMALL, "--cluster", "slurm", "--memory", "500M", "--poll", "2", "--out", "out", *arguments],
        cwd=slurm.folder,
        measured=False,
        conf=conf,
    )
    slurm.processes.append(process)
    wait_for(lambda: slurm.begun(), process)
    conf.write_text(text.replace("SlurmctldPort=", "SlurmctldPort=1") + "\nMessageTimeout=2\n")
    lines = iter(process.stderr.readline, "")
    assert any("slurm does not answer" in line for line in lines)
    slurm.open_gate()
    conf.write_text(text)
    done = end(process)
    assert done.returncode == 0, done.stderr
    assert "slurm answers again" in done.stderr
    assert_sums(slurm, 4, ok=4)
    assert slurm.submitted() == 1
