"""One group of runs, in this process: each run gets a record of its own, whatever happens to the others."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from nica_bench import Dataset, Fitted, Method, Scenario, Split
from nica_bench.method import Progress
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.running.plan import Group, grouped, make_runs, pending
from nica_bench.running.work import Setting, failed_record, run_group


@dataclass(frozen=True)
class Fragile(Scenario):
    """Fixed sizes; some datasets can't be made."""

    family: ClassVar[str] = "fragile"
    equivalence: ClassVar[str] = "none"
    n_latents: int = 2
    n_observed: int = 3
    conditions: int = 2
    samples: int = 100
    bad: tuple[int, ...] = ()

    def generate(self, seed):
        if seed in self.bad:
            raise ArithmeticError(f"no mixing for {seed}")
        generator = np.random.default_rng(seed)
        splits = []
        for _ in range(3):
            x = generator.normal(size=(100, 3))
            splits.append(Split(x, generator.integers(2, size=100), x[:, :2].copy()))
        return Dataset(*splits, conditions=2)


@dataclass(frozen=True)
class Together(Method):
    """Fits all at once; fails where it is asked to."""

    name: ClassVar[str] = "together"
    replicated: ClassVar[bool] = True
    fails: bool = False
    diverges: int = -1

    def fit(self, observations, streams, session):
        raise NotImplementedError

    def fit_group(self, group, streams, session):
        if self.fails:
            raise RuntimeError("out of memory: CUDA")
        warnings.warn("all is not well", RuntimeWarning, stacklevel=1)
        for step in range(1, 1001):
            session.report(Progress(step, 1000, 0.0))
        return [
            Fitted(lambda x, u: x, np.arange(3.0), diverged="lost" if i == self.diverges else None)
            for i in range(len(group))
        ]


@dataclass(frozen=True)
class Alone(Method):
    """Is fitted one by one."""

    name: ClassVar[str] = "alone"

    def fit(self, observations, streams, session):
        return Fitted(lambda x, u: x, np.arange(3.0))


def run(folder, scenario, method, seeds):
    Store.open(folder)
    group = Group(tuple(make_runs([scenario], [method], seeds, 1)))
    sent = []
    run_group(group, Setting(str(folder), "cpu", False, ("nica-bench",)), lambda *event: sent.append(event))
    records = Store.open(folder).scan().records
    return [records[c.spec.key] for c in group.runs], sent


@pytest.mark.parametrize("method", [Together(), Alone()])
def test_a_dataset_that_cannot_be_made_fails_its_own_cell_only(tmp_path, method):
    records, sent = run(tmp_path, Fragile(bad=(1,)), method, range(3))
    assert [r.status for r in records] == [Status.OK, Status.ERROR, Status.OK]
    assert records[1].message.startswith("ArithmeticError: no mixing for 1 (test_work.py, line ")
    assert sorted(value for kind, value in sent if kind == "run") == [0, 1, 2]
    assert [value for kind, value in sent if kind == "begun"] == ([0] if method.replicated else [0, 1, 2])


def test_a_fit_that_fails_fails_all_that_were_in_it(tmp_path):
    records, _ = run(tmp_path, Fragile(), Together(fails=True), range(2))
    assert [r.status for r in records] == [Status.OOM] * 2


def test_one_diverged_replicate_leaves_the_others(tmp_path):
    records, _ = run(tmp_path, Fragile(), Together(diverges=1), range(3))
    assert [r.status for r in records] == [Status.OK, Status.DIVERGED, Status.OK]
    assert records[1].message == "lost"


def test_warnings_are_notes_and_steps_are_sparse(tmp_path):
    records, sent = run(tmp_path, Fragile(), Together(), range(2))
    assert all("RuntimeWarning: all is not well" in r.notes for r in records)
    steps = [value.step for kind, value in sent if kind == "step"]
    assert steps[-1] == 1000
    assert len(steps) < 100


def test_groups_are_sized_by_jobs_and_by_memory():
    each = Together().bytes_per_replicate(100, 3, 2, 2)
    together, alone = (make_runs([Fragile()], [m], range(10), 1) for m in (Together(), Alone()))
    assert [len(g.runs) for g in grouped([*together, *alone], jobs=2, memory=1e9)] == [5, 5, 5, 5]
    assert [len(g.runs) for g in grouped(together, jobs=2, memory=3.5 * each)] == [3, 3, 3, 1]
    assert [len(g.runs) for g in grouped(together, jobs=3, memory=1)] == [1] * 10
    assert [len(g.runs) for g in grouped(alone, jobs=3, memory=1)] == [4, 4, 2]


@pytest.mark.parametrize(
    ("retry", "force", "expected"),
    [
        (set(), False, {"killed", "missing"}),
        ({Status.TIMEOUT}, False, {"killed", "missing", "timeout"}),
        (set(), True, {"ok", "killed", "timeout", "missing"}),
    ],
)
def test_what_is_computed(retry, force, expected):
    names = ["ok", "killed", "timeout", "missing"]
    runs = make_runs([Fragile()], [Alone()], range(4), 1)
    setting = Setting("", "cpu", False, ())
    records = {
        c.spec.key: failed_record(c, Status(name), "", setting, 0.0) for c, name in zip(runs[:3], names, strict=False)
    }
    assert {names[c.seed] for c in pending(runs, records, retry, force)} == expected
