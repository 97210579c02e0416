"""`nica-bench status` and `cancel`, and the wait for the jobs of a sweep."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from nica_bench.cli.console import Debug, Json, counted, listing, say
from nica_bench.records.store import Store

if TYPE_CHECKING:
    from nica_bench.sweep import Sweep, Tally

__all__ = ["cancel", "clock", "status", "stoppable", "wait", "watching"]

_LINE_SECONDS = 10.0

SweptOut = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of a sweep, e.g. results.")]


def status(
    out_folder: SweptOut = Path("results"),
    json_: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat every ten seconds until all runs are done.")] = False,
    debug: Debug = False,
) -> None:
    """Show the state of a sweep: runs done, running, pending, not run and failed, by method and scenario.

    Example: nica-bench status --out results --watch
    """
    from nica_bench.sweep import CLUSTERS, overview

    store = Store.open(out_folder, create=False)
    while True:
        seen = overview(store, [make() for make in CLUSTERS.values()])
        total = {name: sum(getattr(line, name) for line in seen.lines) for name in _COUNTS}
        failed = sum((Counter(line.failed) for line in seen.lines), Counter[str]())
        if json_:
            lines = [{**vars(line), "missing": line.missing} for line in seen.lines]
            shown = {"lines": lines, **total, "failed": failed, "seconds_left": seen.seconds_left}
            more = {"answered": seen.answered, "held": seen.held, "submitter": seen.submitter}
            typer.echo(json.dumps({**shown, **more}, indent=2))
            return
        rows = [["scenario", "method", "runs", *_COUNTS[1:], "failed"]]
        for line in seen.lines:
            counts = [str(getattr(line, name)) for name in _COUNTS]
            rows.append([line.scenario, line.method, *counts, _failures(line.failed)])
        rows.append(["all", "", *(str(total[name]) for name in _COUNTS), _failures(failed)])
        listing(rows)
        if not seen.answered:
            say("the cluster does not answer, so the running jobs are unknown")
        if seen.held:
            say(_held(seen.held))
        if seen.seconds_left is not None:
            say(f"ETA {clock(seen.seconds_left)} at the present rate")
        if seen.submitter is not None:
            say(f"{seen.submitter['user']} waits for it (process {seen.submitter['pid']} on {seen.submitter['host']})")
        if not watch or not total["running"] + total["pending"]:
            return
        time.sleep(10)


_COUNTS = ("total", "done", "running", "pending", "missing")


def cancel(out_folder: SweptOut = Path("results"), debug: Debug = False) -> None:
    """Cancel the jobs of the sweeps into a folder, and no others; finished runs are kept.

    Example: nica-bench cancel --out results
    """
    from nica_bench.sweep import Journal, Sweep
    from nica_bench.sweep import cancel as cancel_jobs

    store = Store.open(out_folder, create=False)
    journal = Journal(store.folder)
    stopped = cancel_jobs(journal)
    if stopped:
        jobs = sum(number for _, number in stopped)
        numbers = ", ".join(str(a.number) for a, _ in stopped)
        say(f"cancelled: {counted(jobs, 'job')} of {counted(len(stopped), 'array')} ({numbers})")
    else:
        say(f"no jobs of a sweep into {out_folder} are running or waiting")
    if journal.open_arrays() and journal.submitter() is None:  # otherwise the waiting process collects the results
        with journal.submitting():
            sweeper = Sweep(store, say, 2.0)
            sweeper.attach()
            for _ in sweeper.run():
                pass


def wait(sweeper: Sweep) -> None:
    """Wait for all jobs, and print their state at intervals."""
    before: Tally | None = None
    shown = begun = time.monotonic()
    first: int | None = None
    for tally in sweeper.run():
        now = time.monotonic()
        first = tally.done if first is None else first
        if tally.total and tally != before and (before is None or now - shown >= _LINE_SECONDS):
            eta = ""
            if tally.done > first and tally.done < tally.total:
                eta = f", ETA {clock((now - begun) / (tally.done - first) * (tally.total - tally.done))}"
            failed = f", {tally.failed} failed" if tally.failed else ""
            say(
                f"  {tally.done}/{tally.total} runs{failed}; jobs: {tally.running} running, {tally.pending} "
                f"pending{eta}"
            )
            if tally.held and (before is None or tally.held != before.held):
                say(f"  {_held(tally.held)}")
            shown, before = now, tally


class _Stopped(BaseException):
    """SIGTERM was received."""


@contextlib.contextmanager
def stoppable(said: Callable[[bool], str]) -> Iterator[None]:
    """On Ctrl-C and SIGTERM print a message, and exit as a shell expects.

    Args:
        said: the function that returns the message; its argument is whether the signal was Ctrl-C.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, _Stopped) as stopped:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the message
        interrupted = isinstance(stopped, KeyboardInterrupt)
        say(said(interrupted))
        raise typer.Exit(130 if interrupted else 143) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def watching(folder: Path) -> AbstractContextManager[None]:
    """On Ctrl-C and SIGTERM say which jobs of a sweep into a folder continue, and exit as a shell expects."""
    from nica_bench.sweep import Journal

    def said(interrupted: bool) -> str:
        local = all(array.cluster != "slurm" for array in Journal(folder).open_arrays())
        if local and interrupted:  # a terminal sends Ctrl-C to local jobs too
            return "stopped: finished runs are kept; the same command resumes"
        return (
            "stopped waiting: submitted jobs continue and keep their finished runs; the same command waits for them "
            f"again, `nica-bench cancel --out {folder}` cancels them"
        )

    return stoppable(said)


def _held(reasons: Sequence[str]) -> str:
    return f"jobs are held by the cluster: {', '.join(reasons)}"


def _failures(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "0"


def clock(seconds: float) -> str:
    """Return minutes and seconds, with hours if there are any: `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
