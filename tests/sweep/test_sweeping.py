"""Sweeps on this machine and on clusters that are played: what is submitted, once, and what becomes of each cell."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace

import pytest
from submitit.core.utils import JobPaths, cloudpickle_dump

from cli_helpers import SMALL, end, nica, records, start, wait_for, write_method
from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.plan import Cell, Group
from nica_bench.record import Record, Status
from nica_bench.registry import make_method, make_scenario
from nica_bench.runner import make_plan
from nica_bench.store import Store
from nica_bench.sweep import Array, Batch, Costs, Journal, Manner, Resources, Slurm, Sweep, overview, pack
from nica_bench.sweep.clusters import Cluster, Look, last_words
from nica_bench.sweep.job import SweepJob, _Notes, begun_file
from nica_bench.sweep.packing import family_of
from nica_bench.sweep.sweeping import cancel

SCENARIO = make_scenario("gauss-2of10[samples=200,held_out=100]")
RAW = make_method("raw-x")
GIN = make_method("gin[steps=1]")


def cells(method=RAW, seeds=range(4), scenario=SCENARIO):
    return [Cell(scenario, method, seed, 0) for seed in seeds]


class Played(Cluster):
    """A cluster that does what a test says."""

    name = "slurm"
    polling = (0.0, 0.0)

    def __init__(self):
        self.submitted = []
        self.looks = {}
        self.answers = True
        self.lost = None

    def submit(self, array, folder, jobs):
        if self.lost is not None:
            lost, self.lost = self.lost, None
            if lost == "refused":
                raise UsageError("Slurm refused the jobs: no such account")
            if lost == "arrived":
                self.submitted.append((array, jobs))
            raise NicaBenchError("it is not known whether Slurm took the jobs")
        self.submitted.append((array, jobs))
        return str(len(self.submitted)), None

    def find(self, array, folder):
        if not self.answers:
            raise NicaBenchError("Slurm does not answer")
        return next(((str(i), None) for i, (a, _) in enumerate(self.submitted, 1) if a.name == array.name), None)

    def look(self, arrays, wanted, folder):
        if not self.answers:
            return None
        return {(a.name, i): self.looks.get(i, Look("running")) for a in arrays for i in range(len(a.jobs))}

    def cancel(self, arrays):
        self.cancelled = [a.number for a in arrays]


@pytest.fixture
def sweep(tmp_path):
    swept = Sweep(Store.open(tmp_path / "out"), lambda line: swept.lines.append(line), 0.0)
    swept.lines = []
    swept.played = swept._clusters["slurm"] = Played()
    return swept


def submit(sweep, jobs, force=False, **resources):
    plan = make_plan([SCENARIO], [RAW], range(4), 1, sweep._store, retry=set(), force=force)
    sweep.journal.write_plan(plan.cells, ["nica-bench"])
    batch = Batch(Resources(**resources), tuple(tuple(job) for job in jobs))
    sweep.submit(plan, [batch], "slurm", Manner("cpu"), {RAW: "raw-x"})


def made(sweep, job):
    """What the job would do."""
    return replace(job, inline=True)()


def statuses(sweep):
    return Counter(r.status.value for r in sweep._store.scan().records.values())


def test_packed_by_shape_limits_and_time():
    other = make_scenario("gauss-2of10[samples=200,held_out=100,mixing=medium]")
    third = make_scenario("gauss-2of10[samples=300,held_out=100]")
    all_cells = [*cells(GIN), *cells(GIN, scenario=other), *cells(GIN, scenario=third), *cells(RAW)]
    batches = pack(all_cells, lambda cell: Resources(cells_per_job=6), Costs([]))
    assert [[len(job) for job in batch.jobs] for batch in batches] == [[4, 4, 4, 4]]
    assert {c.scenario for c in batches[0].jobs[0]} == {SCENARIO}
    assert family_of(cells(GIN)[0]) == family_of(cells(GIN, scenario=other)[0])
    assert family_of(cells(RAW)[0]) != family_of(cells(RAW, scenario=other)[0])
    known = Record(cells()[0].spec, "ok", RAW.told(), cost={"wall_seconds": 40.0, "peak_memory_bytes": 5})
    costs = Costs([known])
    assert (costs.seconds(cells()[1]), costs.memory(cells(scenario=third)[0]), costs.seconds(cells(GIN)[0])) == (
        40,
        5,
        None,
    )
    limited = pack(cells(), lambda cell: Resources(minutes_per_job=1.5), costs)
    assert [len(job) for job in limited[0].jobs] == [2, 2]
    two = pack([*cells(), *cells(GIN)], lambda c: Resources(gpus=int(c.method is GIN)), Costs([]))
    assert [b.resources.gpus for b in two] == [0, 1]


def test_nothing_is_submitted_twice_and_nothing_made_twice(sweep):
    submit(sweep, [cells()[:2], cells()[2:]])
    ((array, jobs),) = sweep.played.submitted
    assert Journal(sweep.journal.out).open_arrays() == [replace(array, number="1")]
    assert made(sweep, jobs[0]) == "2 of 2 cells computed"
    before = {r.key: r.provenance["ended"] for r in sweep._store.scan().records.values()}
    assert made(sweep, jobs[0]) == "0 of 2 cells computed"  # queued again
    again = Sweep(sweep._store, lambda line: None, 0.0)
    again._clusters["slurm"] = sweep.played
    assert again.attach() == 1
    assert again.watch.keys == {c.spec.key for c in cells()[2:]}
    made(sweep, jobs[1])
    assert [t.done for t in again.run()][-1] == 4
    assert again.journal.open_arrays() == []
    after = {r.key: r.provenance["ended"] for r in sweep._store.scan().records.values()}
    assert before.items() <= after.items()
    # made again where that is asked for: the old records don't count
    submit(sweep, [cells()], force=True)
    assert sweep.watch.keys == {c.spec.key for c in cells()}
    (_, (job,)) = sweep.played.submitted[-1]
    assert set(job.stale) == after.keys()
    assert made(sweep, job) == "4 of 4 cells computed"
    assert made(sweep, job) == "0 of 4 cells computed"


ENDS = {
    "oom": (Look("ended", Status.OOM, "job 1_0 ended: OUT_OF_MEMORY"), {"oom": 1, "killed": 1, "ok": 2}),
    "timeout": (Look("ended", Status.TIMEOUT, "job 1_0 ended: TIMEOUT"), {"timeout": 1, "killed": 1, "ok": 2}),
    "cancelled": (Look("ended", Status.KILLED, "job 1_0 ended: CANCELLED"), {"killed": 2, "ok": 2}),
}


@pytest.mark.parametrize(("look", "expected"), ENDS.values(), ids=ENDS)
def test_what_a_dead_job_leaves_gets_its_status_and_the_rest_is_gathered(sweep, look, expected):
    submit(sweep, [cells()[:2], cells()[2:]])
    ((array, jobs),) = sweep.played.submitted
    folder = sweep.journal.array_folder(array.name)
    begun_file(folder, 0).write_text(json.dumps([cells()[0].spec.key]))
    sweep.played.looks[0] = look
    run = sweep.run()
    assert [next(run).done for _ in range(2)] == [0, 2]  # one look may be too early
    made(sweep, jobs[1])
    assert list(run)[-1].done == 4
    assert statuses(sweep) == expected
    records = {r.spec.seed: r for r in sweep._store.scan().records.values()}
    assert records[0].message == look.why
    assert records[1].message == f"not begun: {look.why}"


def test_out_of_memory_goes_again_in_halves(sweep):
    submit(sweep, [cells()], oom_retries=1, memory=100)
    ((array, _),) = sweep.played.submitted
    begun_file(sweep.journal.array_folder(array.name), 0).write_text(json.dumps([c.spec.key for c in cells()]))
    sweep.played.looks[0] = Look("ended", Status.OOM, "out of memory")
    run = sweep.run()
    for _ in run:
        if len(sweep.played.submitted) == 2:
            break
    second, jobs = sweep.played.submitted[1]
    assert (second.resources.memory, second.largest, second.attempt, [len(j.cells) for j in jobs]) == (
        200,
        2,
        1,
        [2, 2],
    )
    assert statuses(sweep) == {"oom": 4}
    sweep.played.looks = {}
    for job in jobs:
        made(sweep, job)
    assert list(run)[-1].failed == 0
    assert statuses(sweep) == {"ok": 4}
    assert sweep.journal.open_arrays() == []


def test_a_cluster_that_does_not_answer_is_waited_for(sweep):
    submit(sweep, [cells()])
    sweep.played.answers = False
    run = sweep.run()
    assert [next(run).answered for _ in range(3)] == [False] * 3
    again = Sweep(sweep._store, lambda line: None)
    again._clusters["slurm"] = sweep.played
    with pytest.raises(NicaBenchError, match="does not answer: nothing was submitted"):
        again.attach()
    sweep.played.answers = True
    made(sweep, sweep.played.submitted[0][1][0])
    assert list(run)[-1].done == 4
    assert sum("does not answer" in line for line in sweep.lines) == 1


@pytest.mark.parametrize(("lost", "calls"), [("arrived", 1), ("lost", 1)])
def test_a_submission_of_which_nothing_is_heard_is_made_once(sweep, lost, calls):
    sweep.played.lost = lost
    submit(sweep, [cells()])
    assert len(sweep.played.submitted) == calls
    assert [a.number for a in sweep.journal.open_arrays()] == ["1"]
    assert len(sweep.watch.keys) == 4


def test_a_refused_submission_leaves_nothing(sweep):
    sweep.played.lost = "refused"
    with pytest.raises(UsageError, match="no such account"):
        submit(sweep, [cells()])
    assert sweep.journal.arrays() == []


def test_a_submitter_killed_before_its_note(sweep):
    submit(sweep, [cells()])
    array = sweep.journal.open_arrays()[0]
    unknown = sweep.journal.write(replace(array, number=None))
    never = sweep.journal.write(replace(array, number=None, name="nica-never"))
    again = Sweep(sweep._store, sweep.lines.append)
    again._clusters["slurm"] = sweep.played
    assert again.attach() == 1
    assert [a.name for a in sweep.journal.open_arrays()] == [unknown.name] != [never.name]
    assert "found the jobs of" in sweep.lines[-1]


def test_cancel_and_overview(sweep):
    submit(sweep, [cells()[:2], cells()[2:]])
    made(sweep, sweep.played.submitted[0][1][0])
    begun_file(sweep.journal.array_folder(sweep.played.submitted[0][0].name), 1).write_text(
        json.dumps([cells()[2].spec.key])
    )
    seen = overview(sweep._store, [sweep.played])
    (line,) = seen.lines
    assert (line.total, line.done, line.running, line.pending, line.missing) == (4, 2, 1, 1, 0)
    assert seen.seconds_left is not None
    assert [a.number for a in cancel(sweep.journal, {"slurm": sweep.played})] == ["1"]
    assert sweep.played.cancelled == ["1"]
    sweep.played.looks = {0: Look("ended"), 1: Look("ended")}
    (line,) = overview(sweep._store, [sweep.played]).lines
    assert (line.done, line.running, line.pending, line.missing) == (2, 0, 0, 2)


def test_a_job_is_queued_again_with_what_it_was_at_last(tmp_path, sweep):
    submit(sweep, [cells()])
    job = sweep.played.submitted[0][1][0]
    job._notes = _Notes(begun_file(tmp_path, 0))
    job._notes.begun(Group((cells()[0],)))
    again = job.checkpoint().function
    assert [c.seed for c in again.cells] == [1, 2, 3, 0]
    assert isinstance(again, SweepJob)


def test_another_code_is_another_cell(sweep):
    submit(sweep, [cells()])
    job = sweep.played.submitted[0][1][0]
    wrong = replace(job, cells=(replace(job.cells[0], key="0" * 64),))
    with pytest.raises(NicaBenchError, match="is another cell here"):
        made(sweep, wrong)


# ----------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def no_slurm(tmp_path, monkeypatch):
    """A PATH on which the commands of Slurm are what a test writes there, and sbatch is missing at first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(name, text):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    return write


def test_local_debug_and_run_make_the_same_records(tmp_path):
    wait = write_method(tmp_path, "mine", "return Fitted(lambda x, u: x, np.ones(D))")
    asked = ["-s", "gauss-2of10", "-m", "raw-x", *wait, *SMALL, "--seeds", "0:2"]
    ran = nica("run", *asked, "--out", "ran", cwd=tmp_path)
    local = nica("sweep", *asked, "--out", "local", cwd=tmp_path)
    debug = nica("sweep", *asked, "--out", "debug", "--cluster", "debug", cwd=tmp_path)
    assert (ran.returncode, local.returncode, debug.returncode) == (0, 0, 0), local.stderr + debug.stderr
    one, two, three = (records(tmp_path / name) for name in ("ran", "local", "debug"))
    assert len(one) == 4
    for key, record in one.items():
        for other in (two[key], three[key]):
            assert other["key"] == record["key"]
            assert other["scores"] == record["scores"]
            assert other["arrays"]["sha256"] == record["arrays"]["sha256"]
    again = nica("sweep", *asked, "--out", "local", "--json", cwd=tmp_path)
    assert "4 cells: 4 there, 0 to submit" in again.stderr
    assert json.loads(again.stdout)
    assert records(tmp_path / "local") == two
    shown = nica("status", "--out", "local", cwd=tmp_path)
    assert shown.stdout.splitlines()[-1].split() == ["all", "4", "4", "0", "0", "0", "0"]
    assert nica("cancel", "--out", "local", cwd=tmp_path).stderr.startswith("no jobs of a sweep")


def test_a_local_sweep_outlives_its_submitter_and_is_cancelled(tmp_path):
    wait = write_method(
        tmp_path,
        "slow",
        "Path(f'{time.time()}.begun').touch(); time.sleep(4); return Fitted(lambda x, u: x, np.ones(D))",
    )
    asked = ["sweep", "-s", "gauss-2of10", *wait, *SMALL, "--seeds", "0:4", "--jobs", "1", "--out", "out"]
    process = start(*asked, cwd=tmp_path, measured=False)
    wait_for(lambda: list(tmp_path.glob("*.begun")), process)
    process.kill()
    process.wait()  # its pipes are the job's too, which goes on
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "in jobs that run already, 0 to submit" in done.stderr
    assert len(records(tmp_path / "out")) == 4
    assert len(list(tmp_path.glob("*.begun"))) == 4
    endless = write_method(tmp_path, "endless", "Path('begun').touch(); time.sleep(1000)")
    asked = ["sweep", "-s", "gauss-2of10", *endless, *SMALL, "--seeds", "0:4", "--jobs", "1", "--out", "other"]
    process = start(*asked, cwd=tmp_path, measured=False)
    wait_for(lambda: (tmp_path / "begun").exists(), process)
    busy = nica(*asked, cwd=tmp_path)
    assert busy.returncode == 2
    assert "is sweeping into" in busy.stderr
    stopped = nica("cancel", "--out", "other", cwd=tmp_path)
    assert "cancelled: 1 jobs of 1 arrays" in stopped.stderr
    done = end(process)
    assert done.returncode == 3
    assert "killed: endless" in done.stderr
    assert len(records(tmp_path / "other")) == 4


def test_init_and_dry_run(tmp_path):
    assert nica("sweep", "--init", cwd=tmp_path).returncode == 0
    twice = nica("sweep", "--init", cwd=tmp_path)
    assert (twice.returncode, "is there already" in twice.stderr) == (2, True)
    plan = nica("sweep", "sweep.toml", "--dry-run", "--out", "none", "--memory", "3G", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "200 cells: 0 cached, 200 pending; " in plan.stdout
    assert not (tmp_path / "none").exists()


def test_sbatch_missing_and_a_partition_that_is_not_there(tmp_path, no_slurm):
    asked = ["sweep", "-s", "gauss-2of10", "-m", "raw-x", "--cluster", "slurm", "--partition", "mian"]
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 2
    assert "needs the command sbatch, which is not here" in done.stderr
    for name in ("sbatch", "squeue", "scancel", "srun"):
        no_slurm(name, "exit 1")
    no_slurm("sinfo", "echo main; echo gpu")
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 2
    assert "Slurm has no partition 'mian'; did you mean 'main'?" in done.stderr
    assert not (tmp_path / "results").exists()
    plan = nica(*asked, "--dry-run", cwd=tmp_path)
    assert "#SBATCH --partition=mian" in plan.stdout
    assert "#SBATCH --array" not in plan.stdout
    assert plan.returncode == 2
    no_slurm("sinfo", "echo 'Unable to contact slurm controller' >&2; exit 1")
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 3
    assert "nothing was submitted, for Slurm does not answer: sinfo: Unable to contact" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cluster", "slrum"], "unknown cluster 'slrum'; did you mean 'slurm'"),
        ([], "sweep takes a file"),
        (["none.toml"], "none.toml cannot be read"),
        (["-s", "gauss-2of10", "--seeds", "0:1000000", "-m", "pca"], "1,000,000 cells"),
        (["-s", "gauss-2of10", "--time", "soon"], "a time is written"),
        (["--attach", "--out", "nowhere"], "does not exist"),
    ],
)
def test_refused_on_the_command_line(tmp_path, arguments, message):
    done = nica("sweep", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_status_where_nothing_was_swept(tmp_path):
    Store.open(tmp_path)
    done = nica("status", "--out", tmp_path, cwd=tmp_path)
    assert (done.returncode, "no sweep was made into" in done.stderr) == (2, True)


# ---------------------------------------------------------------------------------------------- Slurm's own words


def asked(no_slurm, sweep, squeue, sacct):
    """What is understood of jobs 0 to 3 of an array with number 7."""
    submit(sweep, [[c] for c in cells()])
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
        "7|0|PENDING|\n7|1|RUNNING|n1\n7|2|CANCELLED|\n9|0|FAILED|n1",
        "7_2|CANCELLED by 0|None assigned\n7_[0]|PENDING|None assigned\n7_3|FAILED|n2\n7_3.batch|FAILED|n2\n"
        "7_3.0|OUT_OF_MEMORY|n2",
    )
    assert [look.state for look in seen] == ["pending", "running", "ended", "ended"]
    assert seen[2].why == "job 7_2 ended: CANCELLED"
    assert (seen[3].status, seen[3].why) == (Status.OOM, "job 7_3 ended on n2: OUT_OF_MEMORY")


def test_without_accounting_squeue_has_to_do_and_silence_is_an_end(no_slurm, sweep):
    seen = asked(no_slurm, sweep, "7|0|TIMEOUT|n1\n7|1|NODE_FAIL|n1\n7|2|FAILED|n1", None)
    assert [look.state for look in seen] == ["ended"] * 4
    assert [look.status for look in seen] == [Status.TIMEOUT, Status.KILLED, Status.KILLED, Status.KILLED]
    assert "not known to Slurm any more" in seen[3].why


def test_why_a_job_failed_is_read_from_what_it_left(no_slurm, sweep):
    name = Array.new_name()
    folder = sweep.journal.array_folder(name)
    folder.mkdir(parents=True)
    left = "Traceback (most recent call last):\n  raise error\nnica_bench.errors.NicaBenchError: x.json: the disk is full\n"
    cloudpickle_dump(("error", left), JobPaths(folder, "7_0").result_pickle)
    JobPaths(folder, "7_1").stderr.write_text("ValueError: no\nsrun: error: vm: task 0: Exited with exit code 1\n")
    JobPaths(folder, "7_2").result_pickle.write_bytes(b"cut o")
    assert last_words(folder, "7_0") == "NicaBenchError: x.json: the disk is full"
    assert last_words(folder, "7_1") == "ValueError: no"
    assert last_words(folder, "7_2") == ""
    seen = asked(no_slurm, sweep, "7|0|FAILED|n1", "")
    assert seen[0].why == "job 7_0 ended on n1: FAILED"


def test_a_folder_that_a_job_cannot_write_to_ends_the_job(sweep):
    submit(sweep, [cells()])
    job = sweep.played.submitted[0][1][0]
    blocked = sweep.journal.out.parent / "blocked"
    blocked.write_text("a file")
    with pytest.raises(NicaBenchError, match="is a file, not a folder"):
        made(sweep, replace(job, setting=replace(job.setting, out=str(blocked))))
    # its cells are rows that say why, and the same command takes them again
    sweep.played.looks[0] = Look("ended", Status.KILLED, "job 1 ended: FAILED, the disk is full")
    assert list(sweep.run())[-1].done == 4
    assert statuses(sweep) == {"killed": 4}
    plan = make_plan([SCENARIO], [RAW], range(4), 1, sweep._store, retry=set(), force=False)
    assert len(plan.pending) == 4


def test_slurm_that_is_down_is_no_end(no_slurm, sweep):
    assert asked(no_slurm, sweep, None, None) is None
