"""A cluster that is played, and small runs for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.registry import make_method, make_scenario
from nica_bench.running.grid import Grid
from nica_bench.running.plan import Group, Run
from nica_bench.running.resources import Resources
from nica_bench.running.runner import make_plan
from nica_bench.sweep import Batch, Manner
from nica_bench.sweep.clusters import Cluster, Look, Unanswered
from nica_bench.sweep.job import _Notes, begun_file

SCENARIO = make_scenario("gauss-2of10[samples=200,held_out=100]")
RAW = make_method("raw-x")
GIN = make_method("gin[steps=1]")


GRID = Grid((SCENARIO,), (RAW,), tuple(range(4)), 1)


def runs(method=RAW, seeds=range(4), scenario=SCENARIO):
    return [Run(scenario, method, seed, 0) for seed in seeds]


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
            raise Unanswered("it is not known whether Slurm took the jobs")
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


def submit(sweep, jobs, force=False, **resources):
    plan = make_plan(GRID, sweep._store, retry=set(), force=force)
    sweep.journal.write_plan(plan.runs, ["nica-bench"])
    batch = Batch(Resources(**resources), tuple(tuple(job) for job in jobs))
    sweep.submit(plan, [batch], "slurm", Manner("cpu"), {SCENARIO: SCENARIO.label, RAW: "raw-x"})


def made(sweep, job):
    """What the job would do."""
    return replace(job, inline=True)()


def note_begun(folder, index, working):
    """What a job writes when it begins with these runs."""
    _Notes(begun_file(folder, index)).begun(Group(tuple(working)))


def statuses(sweep):
    return Counter(r.status.value for r in sweep._store.scan().records.values())
