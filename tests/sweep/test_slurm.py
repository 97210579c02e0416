"""What Slurm's commands say of jobs, and what is understood of it."""

from __future__ import annotations

import os
from dataclasses import replace

from submitit.core.utils import JobPaths, cloudpickle_dump

from helpers.sweeps import runs, submit
from nica_bench.records.record import Status
from nica_bench.sweep import Array, Slurm
from nica_bench.sweep.clusters import last_words
from nica_bench.sweep.slurm import _ran_out


def asked(no_slurm, sweep, squeue, sacct):
    """What is understood of jobs 0 to 3 of an array with number 7."""
    submit(sweep, [[c] for c in runs()])
    array = sweep.played.submitted[0][0]
    array = replace(array, number="7")
    no_slurm("squeue", f"cat <<'E'\n{squeue}\nE" if squeue is not None else "echo 'Unable to contact' >&2; exit 1")
    no_slurm("sacct", f"cat <<'E'\n{sacct}\nE" if sacct is not None else "echo 'accounting is disabled' >&2; exit 1")
    (sweep.journal.out / "calls").unlink(missing_ok=True)
    os.environ["PATH"] += ":/usr/bin:/bin"
    jobs = Slurm().look([array], {(array.name, i) for i in range(4)}, sweep.journal.folder / "arrays")
    return None if jobs is None else [jobs[array.name, i] for i in range(4)]


def test_what_slurm_says_is_understood(no_slurm, sweep):
    seen = asked(
        no_slurm,
        sweep,
        "7|0|PENDING||PartitionConfig\n7|1|RUNNING|n1|None\n7|2|CANCELLED||None\n9|0|FAILED|n1|None",
        "7_2|CANCELLED by 0|None assigned\n7_[0]|PENDING|None assigned\n7_3|FAILED|n2\n7_3.batch|FAILED|n2\n"
        "7_3.0|OUT_OF_MEMORY|n2",
    )
    assert [look.state for look in seen] == ["pending", "running", "ended", "ended"]
    assert seen[0].why == "PartitionConfig"
    assert seen[2].why == "job 7_2 ended: CANCELLED"
    assert (seen[3].status, seen[3].why) == (Status.OOM, "job 7_3 ended on n2: OUT_OF_MEMORY")


def test_without_accounting_squeue_has_to_do_and_silence_is_an_end(no_slurm, sweep):
    seen = asked(
        no_slurm, sweep, "7|0|TIMEOUT|n1|TimeLimit\n7|1|NODE_FAIL|n1|None\n7|2|FAILED|n1|NonZeroExitCode", None
    )
    assert [look.state for look in seen] == ["ended"] * 4
    assert [look.status for look in seen] == [Status.TIMEOUT, Status.KILLED, Status.KILLED, Status.KILLED]
    assert "not known to Slurm any more" in seen[3].why


def test_why_a_job_failed_is_read_from_what_it_left(no_slurm, sweep):
    name = Array.new_name()
    folder = sweep.journal.array_folder(name)
    folder.mkdir(parents=True)
    left = "Traceback (most recent call last):\n  raise error\nnica_bench.errors.NicaBenchError: x.json: the disk is full\n"
    JobPaths(folder, "7_0").stderr.write_text(left)
    cloudpickle_dump(("error", "not loaded"), JobPaths(folder, "7_2").result_pickle)
    JobPaths(folder, "7_1").stderr.write_text("ValueError: no\nsrun: error: vm: task 0: Exited with exit code 1\n")
    JobPaths(folder, "7_3").stderr.write_text("slurmstepd-n1: error: Detected 1 oom-kill event(s) in StepId=7.0.\n")
    assert last_words(folder, "7_0") == "NicaBenchError: x.json: the disk is full"
    assert last_words(folder, "7_1") == "ValueError: no"
    assert last_words(folder, "7_2") == ""
    assert (last_words(folder, "7_3"), _ran_out(folder, "7_3"), _ran_out(folder, "7_1")) == ("", True, False)
    seen = asked(no_slurm, sweep, "7|0|FAILED|n1|NonZeroExitCode", "")
    assert seen[0].why == "job 7_0 ended on n1: FAILED"


def test_slurm_that_is_down_is_no_end(no_slurm, sweep):
    assert asked(no_slurm, sweep, None, None) is None
