"""The progress of a run on stderr: bars in a terminal, lines in a pipe or a log."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from nica_bench.method import Progress as Step
from nica_bench.running.plan import Group
from nica_bench.running.reporter import Reporter

__all__ = ["Bars", "Lines", "reporting", "runs_text"]

LINE_SECONDS = 10.0
"""The shortest time between two lines of a group, in seconds."""


def runs_text(number: int) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number} run" if number == 1 else f"{number} runs"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _label(group: Group, scenarios: int) -> str:
    """Return the label of a group, without the scenario if there is only one."""
    return group.label if scenarios > 1 else group.runs[0].method.label


class Lines(Reporter):
    """A reporter that prints a line per group at most every ten seconds, and one when the group ends.

    Args:
        total: the number of runs to be computed.
        scenarios: the number of scenarios.
        console: the console on which they are printed.
    """

    def __init__(self, total: int, scenarios: int, console: Console) -> None:
        self._console = console
        self._total = total
        self._scenarios = scenarios
        self._done = 0
        self._begun: dict[Group, float] = {}
        self._shown: dict[Group, float] = {}

    def begun(self, group: Group) -> None:
        """Store the time."""
        self._begun[group] = self._shown[group] = time.monotonic()

    def step(self, group: Group, progress: Step) -> None:
        """Print a line if the last one is older than `LINE_SECONDS`."""
        now = time.monotonic()
        if now - self._shown[group] < LINE_SECONDS or not progress.step:
            return
        self._shown[group] = now
        loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
        line = f"  {_label(group, self._scenarios)}: step {progress.step}/{progress.steps}{loss}"
        if group.together:
            line += f", ETA {_clock((now - self._begun[group]) / progress.step * (progress.steps - progress.step))}"
        self._say(line)

    def run(self, group: Group) -> None:
        """Count the run."""
        self._done += 1

    def ended(self, group: Group) -> None:
        """Print the last line of a group."""
        seconds = time.monotonic() - self._begun[group]
        name, runs = _label(group, self._scenarios), runs_text(len(group.runs))
        self._say(f"  {self._done}/{self._total}  {name}: {runs} in {_clock(seconds)}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=not self._console.is_terminal)


class Bars(Reporter):
    """A reporter that draws a bar for all runs and one for each group that is being computed.

    Args:
        total: the number of runs to be computed.
        scenarios: the number of scenarios.
        console: the console of the bars.
    """

    def __init__(self, total: int, scenarios: int, console: Console) -> None:
        self.progress = Progress(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[count]}", table_column=Column(justify="right", no_wrap=True)),
            TextColumn("{task.fields[loss]}", table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("ETA"),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
            refresh_per_second=4,
        )
        self._total = total
        self._scenarios = scenarios
        self._done = 0
        self._all = self.progress.add_task("all runs", total=total, count=f"0/{total}", loss="")
        self._tasks: dict[Group, TaskID] = {}
        self._finished: dict[Group, int] = {}

    def begun(self, group: Group) -> None:
        """Add a bar for the group."""
        self._finished[group] = 0
        count = f"0/{len(group.runs)}"
        name = _label(group, self._scenarios)
        self._tasks[group] = self.progress.add_task(name, total=len(group.runs), count=count, loss="")

    def step(self, group: Group, progress: Step) -> None:
        """Move the bar of a group by the steps of its fit, or within the share of one of its fits."""
        share = progress.step / max(progress.steps, 1) * (len(group.runs) if group.together else 1)
        loss = "" if progress.loss is None else f"loss {progress.loss:.2f}"
        self.progress.update(
            self._tasks[group],
            completed=min(self._finished[group] + share, len(group.runs)),
            count=f"{progress.step}/{progress.steps}",
            loss=loss,
        )

    def run(self, group: Group) -> None:
        """Move the bar of all runs."""
        self._done += 1
        self._finished[group] += 1
        self.progress.update(self._all, completed=self._done, count=f"{self._done}/{self._total}")
        if not group.together:
            done = self._finished[group]
            self.progress.update(self._tasks[group], completed=done, count=f"{done}/{len(group.runs)}")

    def ended(self, group: Group) -> None:
        """Remove the bar of a group."""
        self.progress.remove_task(self._tasks.pop(group))


@contextlib.contextmanager
def reporting(total: int, scenarios: int, console: Console) -> Iterator[Reporter]:
    """Yield a reporter with bars if the console is a terminal or notebook that can draw them, else with lines."""
    notebook = console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
    if not notebook and (not console.is_interactive or console.is_dumb_terminal):
        yield Lines(total, scenarios, console)
        return
    bars = Bars(total, scenarios, console)
    with bars.progress:
        yield bars
