"""Sweeps on this machine and on clusters that are played: what is submitted, once, and what becomes of each run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.sweeps import GIN, GRID, RAW, SCENARIO, made, note_begun, runs, statuses, submit
from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.records.record import Record, Status
from nica_bench.registry import make_scenario
from nica_bench.running.plan import Group
from nica_bench.running.resources import Resources
from nica_bench.running.runner import make_plan
from nica_bench.sweep import Costs, Journal, Sweep, overview, pack
from nica_bench.sweep.clusters import Look
from nica_bench.sweep.job import SweepJob, _Notes, begun_file
from nica_bench.sweep.packing import family_of
from nica_bench.sweep.sweeping import cancel


def test_packed_by_shape_limits_and_time():
    other = make_scenario("gauss-2of10[samples=200,held_out=100,mixing=medium]")
    third = make_scenario("gauss-2of10[samples=300,held_out=100]")
    all_cells = [*runs(GIN), *runs(GIN, scenario=other), *runs(GIN, scenario=third), *runs(RAW)]
    batches = pack(all_cells, lambda run: Resources(runs_per_job=6), Costs([]))
    assert [[len(job) for job in batch.jobs] for batch in batches] == [[4, 4, 4, 4]]
    assert {c.scenario for c in batches[0].jobs[0]} == {SCENARIO}
    assert family_of(runs(GIN)[0]) == family_of(runs(GIN, scenario=other)[0])
    assert family_of(runs(RAW)[0]) != family_of(runs(RAW, scenario=other)[0])
    fields = {"side_information": "", "n_latents": 2, "n_observed": 10, "image_shape": None}
    cost = {"wall_seconds": 40.0, "peak_memory_bytes": 5}
    known = Record.make(runs()[0].spec, status="ok", cost=cost, **fields)
    costs = Costs([known])
    assert (costs.seconds(runs()[1]), costs.memory(runs(scenario=third)[0]), costs.seconds(runs(GIN)[0])) == (
        40,
        5,
        None,
    )
    limited = pack(runs(), lambda run: Resources(minutes_per_job=1.5), costs)
    assert [len(job) for job in limited[0].jobs] == [2, 2]
    two = pack([*runs(), *runs(GIN)], lambda c: Resources(gpus=int(c.method is GIN)), Costs([]))
    assert [b.resources.gpus for b in two] == [0, 1]


def test_nothing_is_submitted_twice_and_nothing_made_twice(sweep):
    submit(sweep, [runs()[:2], runs()[2:]])
    ((array, jobs),) = sweep.played.submitted
    assert Journal(sweep.journal.out).open_arrays() == [replace(array, number="1")]
    assert made(sweep, jobs[0]) == "2 of 2 runs computed"
    before = {r.key: r.provenance["ended"] for r in sweep._store.scan().records.values()}
    assert made(sweep, jobs[0]) == "0 of 2 runs computed"  # queued again
    again = Sweep(sweep._store, lambda line: None, 0.0)
    again._clusters["slurm"] = sweep.played
    assert again.attach() == 1
    assert again.watch.keys == {c.spec.key for c in runs()[2:]}
    made(sweep, jobs[1])
    assert [t.done for t in again.run()][-1] == 4
    assert again.journal.open_arrays() == []
    after = {r.key: r.provenance["ended"] for r in sweep._store.scan().records.values()}
    assert before.items() <= after.items()
    # made again where that is asked for: the old records don't count
    submit(sweep, [runs()], force=True)
    assert sweep.watch.keys == {c.spec.key for c in runs()}
    (_, (job,)) = sweep.played.submitted[-1]
    assert set(job.stale) == after.keys()
    assert made(sweep, job) == "4 of 4 runs computed"
    assert made(sweep, job) == "0 of 4 runs computed"


ENDS = {
    "oom": (Look("ended", Status.OOM, "job 1_0 ended: OUT_OF_MEMORY"), {"oom": 1, "killed": 1, "ok": 2}),
    "timeout": (Look("ended", Status.TIMEOUT, "job 1_0 ended: TIMEOUT"), {"timeout": 1, "killed": 1, "ok": 2}),
    "cancelled": (Look("ended", Status.KILLED, "job 1_0 ended: CANCELLED"), {"killed": 2, "ok": 2}),
}


@pytest.mark.parametrize(("look", "expected"), ENDS.values(), ids=ENDS)
def test_what_a_dead_job_leaves_gets_its_status_and_the_rest_is_gathered(sweep, look, expected):
    submit(sweep, [runs()[:2], runs()[2:]])
    ((array, jobs),) = sweep.played.submitted
    folder = sweep.journal.array_folder(array.name)
    note_begun(folder, 0, runs()[:1])
    sweep.played.looks[0] = look
    run = sweep.run()
    assert [next(run).done for _ in range(2)] == [0, 2]  # one look may be too early
    made(sweep, jobs[1])
    assert list(run)[-1].done == 4
    assert statuses(sweep) == expected
    records = {r.spec.seed: r for r in sweep._store.scan().records.values()}
    assert records[0].message == look.why
    assert records[1].message == f"not begun: {look.why}"


def test_a_job_too_small_to_begin_is_out_of_memory(sweep):
    submit(sweep, [runs()])
    sweep.played.looks[0] = Look("ended", Status.OOM, "job 1 ended: OUT_OF_MEMORY")
    list(sweep.run())
    assert statuses(sweep) == {"oom": 4}  # and not killed, which the same command would try again for ever


def test_why_jobs_wait_is_told(sweep, monkeypatch):
    submit(sweep, [runs()])
    sweep.played.looks[0] = Look("pending", why="PartitionConfig")
    assert next(sweep.run()).held == ("PartitionConfig",)
    seen = overview(sweep._store, [sweep.played])
    assert (seen.held, seen.lines[0].pending) == (("PartitionConfig",), 4)


def test_out_of_memory_goes_again_in_halves(sweep):
    submit(sweep, [runs()], oom_retries=1, memory=100)
    ((array, _),) = sweep.played.submitted
    note_begun(sweep.journal.array_folder(array.name), 0, runs())
    sweep.played.looks[0] = Look("ended", Status.OOM, "out of memory")
    run = sweep.run()
    for _ in run:
        if len(sweep.played.submitted) == 2:
            break
    second, jobs = sweep.played.submitted[1]
    assert (second.resources.memory, second.largest, second.attempt, [len(j.runs) for j in jobs]) == (
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
    submit(sweep, [runs()])
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
    submit(sweep, [runs()])
    assert len(sweep.played.submitted) == calls
    assert [a.number for a in sweep.journal.open_arrays()] == ["1"]
    assert len(sweep.watch.keys) == 4


def test_a_refused_submission_leaves_nothing(sweep):
    sweep.played.lost = "refused"
    with pytest.raises(UsageError, match="no such account"):
        submit(sweep, [runs()])
    assert sweep.journal.arrays() == []


def test_a_submitter_killed_before_its_note(sweep):
    submit(sweep, [runs()])
    array = sweep.journal.open_arrays()[0]
    unknown = sweep.journal.write(replace(array, number=None))
    never = sweep.journal.write(replace(array, number=None, name="nica-never"))
    again = Sweep(sweep._store, sweep.lines.append)
    again._clusters["slurm"] = sweep.played
    assert again.attach() == 1
    assert [a.name for a in sweep.journal.open_arrays()] == [unknown.name] != [never.name]
    assert "found the jobs of" in sweep.lines[-1]


def test_cancel_and_overview(sweep):
    submit(sweep, [runs()[:2], runs()[2:]])
    made(sweep, sweep.played.submitted[0][1][0])
    note_begun(sweep.journal.array_folder(sweep.played.submitted[0][0].name), 1, runs()[2:3])
    seen = overview(sweep._store, [sweep.played])
    (line,) = seen.lines
    assert (line.total, line.done, line.running, line.pending, line.missing) == (4, 2, 1, 1, 0)
    assert seen.seconds_left is not None
    assert [(a.number, jobs) for a, jobs in cancel(sweep.journal, {"slurm": sweep.played})] == [("1", 2)]
    assert sweep.played.cancelled == ["1"]
    sweep.played.looks = {0: Look("ended"), 1: Look("ended")}
    (line,) = overview(sweep._store, [sweep.played]).lines
    assert (line.done, line.running, line.pending, line.missing) == (2, 0, 0, 2)
    assert cancel(sweep.journal, {"slurm": sweep.played}) == []  # they have ended


def test_a_job_is_queued_again_with_what_it_was_at_last(tmp_path, sweep):
    submit(sweep, [runs()])
    job = sweep.played.submitted[0][1][0]
    job._notes = _Notes(begun_file(tmp_path, 0))
    job._notes.begun(Group((runs()[0],)))
    again = job.checkpoint().function
    assert [c.seed for c in again.runs] == [1, 2, 3, 0]
    assert isinstance(again, SweepJob)


def test_another_code_is_another_cell(sweep):
    submit(sweep, [runs()])
    job = sweep.played.submitted[0][1][0]
    wrong = replace(job, runs=(replace(job.runs[0], key="0" * 64),))
    with pytest.raises(NicaBenchError, match="is another run here"):
        made(sweep, wrong)


def test_a_folder_that_a_job_cannot_write_to_ends_the_job(sweep):
    submit(sweep, [runs()])
    job = sweep.played.submitted[0][1][0]
    blocked = sweep.journal.out.parent / "blocked"
    blocked.write_text("a file")
    with pytest.raises(NicaBenchError, match="is a file, not a folder"):
        made(sweep, replace(job, setting=replace(job.setting, out=str(blocked))))
    # its runs are rows that say why, and the same command takes them again
    sweep.played.looks[0] = Look("ended", Status.KILLED, "job 1 ended: FAILED, the disk is full")
    assert list(sweep.run())[-1].done == 4
    assert statuses(sweep) == {"killed": 4}
    plan = make_plan(GRID, sweep._store, retry=set(), force=False)
    assert len(plan.pending) == 4
