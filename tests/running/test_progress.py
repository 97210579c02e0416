"""Progress of a run: lines for logs, bars for terminals."""

import io

import pytest
from rich.console import Console

from nica_bench.method import Progress
from nica_bench.registry import make_method, make_scenario
from nica_bench.running import progress as module
from nica_bench.running.plan import Group, grouped, make_runs
from nica_bench.running.progress import Bars, Lines, reporting


@pytest.fixture
def groups():
    runs = make_runs([make_scenario("gauss-2of4")], [make_method("gin"), make_method("pca")], range(4), 1)
    return grouped(runs, jobs=2, memory=1e10)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_group_has_one_line_in_ten_seconds(groups, clock, capsys):
    lines = Lines(8, 1, Console(stderr=True))
    first, second = groups[:2]
    for group in (first, second):
        lines.begun(group)
    for step in range(1, 1001):
        clock[0] += 0.035
        for group in (first, second):
            lines.step(group, Progress(step, 1000, 0.5))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 * 3
    assert said[0] == "  gin: step 286/1000, loss 0.500, ETA 0:25"
    for _ in first.runs:
        lines.run(first)
    lines.ended(first)
    assert capsys.readouterr().err == "  2/8  gin: 2 runs in 0:35\n"


def test_one_cell_is_not_cells_and_scenarios_are_named_where_there_are_several(groups, clock, capsys):
    lines = Lines(8, 2, Console(stderr=True))
    group = Group(groups[-1].runs[:1])
    lines.begun(group)
    lines.run(group)
    clock[0] = 3700
    lines.ended(group)
    assert capsys.readouterr().err == "  1/8  pca on gauss-2of4: 1 run in 1:01:40\n"


def test_bars_count_cells_and_go_away_with_their_group(groups):
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    together, one_by_one = groups[0], groups[-1]
    assert (together.together, one_by_one.together) == (True, False)
    with reporting(8, 1, console) as bars:
        assert isinstance(bars, Bars)
        for group in (together, one_by_one):
            bars.begun(group)
        overall, first, second = bars.progress.tasks
        bars.step(together, Progress(250, 1000, -12.3456))
        assert (first.percentage, first.fields["count"], first.fields["loss"]) == (25, "250/1000", "loss -12.35")
        bars.run(one_by_one)
        assert (second.percentage, second.fields["count"]) == (50, "1/2")
        bars.step(one_by_one, Progress(5, 10))
        assert second.percentage == 75
        assert (overall.completed, overall.fields["count"]) == (1, "1/8")
        bars.ended(one_by_one)
        # what a dead worker left of a group comes again as a smaller one
        rest = Group(one_by_one.runs[1:])
        bars.begun(rest)
        bars.run(rest)
        bars.ended(rest)
        assert (overall.completed, len(bars.progress.tasks)) == (2, 2)


def test_lines_without_a_terminal():
    for console in (
        Console(file=io.StringIO()),
        Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}),
    ):
        with reporting(1, 1, console) as reporter:
            assert isinstance(reporter, Lines)
