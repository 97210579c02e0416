"""What a dry run prints of runs that are there, make no sense, failed before, or lack files."""

from __future__ import annotations

import typing

import pytest

from helpers.cli import nica
from helpers.sweeps import runs
from nica_bench.cli.dry_run import dry_run
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.running.grid import Request
from nica_bench.running.gridfile import GridFile
from nica_bench.running.runner import make_plan
from nica_bench.running.work import Setting, failed_record
from nica_bench.sweep import make_order

LABELS = ["gauss-2of10", "lognormal-2of10"]


@pytest.fixture
def planned(tmp_path, capsys):
    order = make_order(GridFile(), Request(LABELS, ["gin-matched", "raw-x"], seeds=range(2), training_seeds=1))
    store = Store.open(tmp_path)

    def rows():
        dry_run(order, store)
        lines = capsys.readouterr().out.splitlines()
        return lines, {tuple(line.split()[:2]): list(map(int, line.split()[2:])) for line in lines[1:5]}

    return rows, store, make_plan(order.grid, store, retry=set(), force=False)


def test_annotations_are_not_evaluated_cell_by_cell(monkeypatch):
    """At 100,000 runs it took minutes."""
    run, calls = runs()[0], []
    assert run.spec.key  # the first time they are
    monkeypatch.setattr(typing, "get_type_hints", lambda owner: calls.append(owner))
    assert [run.spec.key, run.scenario.label, run.method.label]
    assert calls == []


def test_what_cannot_run_is_skipped_and_not_cached(planned):
    rows, _, _ = planned
    lines, counts = rows()
    assert lines[0].split() == ["scenario", "method", "runs", "cached", "skipped", "failed", "pending"]
    assert counts[LABELS[1], "gin-matched"] == [2, 0, 2, 0, 0]
    assert [c for c in counts.values() if c != [2, 0, 2, 0, 0]] == [[2, 0, 0, 0, 2]] * 3
    assert "8 runs: 0 cached, 2 skipped, 6 pending; " in "\n".join(lines)
    assert any(
        line.startswith(f"gin-matched on {LABELS[1]}: skipped, its base distribution is a density") for line in lines
    )


def test_what_was_skipped_and_what_failed_before_are_not_cached_either(planned):
    rows, store, plan = planned
    setting = Setting(str(store.folder), "cpu", False, ())
    for run, reason in plan.skipped:
        store.write(failed_record(run, Status.SKIPPED, reason, setting, 0.0))
    failed = plan.pending[0]
    store.write(failed_record(failed, Status.ERROR, "no", setting, 0.0))
    lines, counts = rows()
    assert counts[LABELS[1], "gin-matched"] == [2, 0, 2, 0, 0]
    assert counts[failed.scenario.label, failed.method.label] == [2, 0, 0, 1, 1]
    assert "8 runs: 0 cached, 2 skipped, 1 failed before (--retry failed repeats them), 5 pending" in "\n".join(lines)


def test_a_dry_run_without_the_files_of_a_scenario_says_so_as_a_run_would(tmp_path, monkeypatch):
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path / "nothing"))
    asked = ["-s", "mnist", "-s", "digits", "-m", "pca"]
    plan = nica("sweep", *asked, "--dry-run", cwd=tmp_path)
    assert plan.returncode == nica("run", *asked, "--dry-run", cwd=tmp_path).returncode == 2
    assert " pending; " in plan.stdout
    assert "error: files missing: mnist needs 4 files" in plan.stderr
    assert not (tmp_path / "results").exists()
