"""`nica-bench sweep`, `status` and `cancel`: a grid of cells as jobs of a cluster."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nica_bench.cli.console import Debug, Json, Session, listing, out, say
from nica_bench.cli.progress import cells_text
from nica_bench.cli.run import dotted_parameters, tell_failures
from nica_bench.collection import Collection
from nica_bench.environment import check_device_name
from nica_bench.errors import NicaBenchError, UsageError, did_you_mean
from nica_bench.plan import Cell, parse_statuses
from nica_bench.record import Record
from nica_bench.runner import Plan, make_plan
from nica_bench.store import Store
from nica_bench.tables import Query, Table, render, rows_of, scores_table, table_kind, terminal_table

if TYPE_CHECKING:
    from nica_bench.sweep import Batch, Costs, Made, Manner, Sweep, Tally

__all__ = ["cancel", "status", "sweep"]

_CLUSTERS = ("slurm", "local", "debug")
_SWEEP, _SLURM = "Sweep", "Slurm"
_LINE_SECONDS = 10.0

SweptOut = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder that a sweep writes into.")]


def sweep(
    context: typer.Context,
    given: dict[str, str],
    file: Annotated[
        Path | None, typer.Argument(metavar="[sweep.toml]", help="What to sweep; --init writes one.")
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", "-s", metavar="NAME", help="In place of the file's scenarios.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", metavar="NAME", help="In place of the file's methods.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="TEXT", help="A method's parameter: gin.lr=0.001."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="LIST", help="Datasets: 3 or 0:5,8.")] = None,
    inits: Annotated[int | None, typer.Option(metavar="INTEGER", help="Initialisations a dataset.", min=1)] = None,
    out_folder: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Folder of the records.")] = None,
    json_: Json = False,
    jobs: Annotated[
        int | None, typer.Option(metavar="INTEGER", help="Workers of --cluster local; default: the cores.", min=1)
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Most seconds a cell.", min=0.001)] = None,
    retry: Annotated[
        str | None, typer.Option(metavar="STATUS", help="Compute these again: failed, or e.g. timeout,oom.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="Train with torch.compile.")] = False,
    cluster: Annotated[
        str, typer.Option(metavar="NAME", help="slurm, local or debug.", rich_help_panel=_SWEEP)
    ] = "local",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print cells, jobs, an estimate and the script.", rich_help_panel=_SWEEP)
    ] = False,
    init: Annotated[
        bool, typer.Option("--init", help="Write an example of a sweep file.", rich_help_panel=_SWEEP)
    ] = False,
    attach: Annotated[
        bool, typer.Option("--attach", help="Submit nothing: wait for what runs.", rich_help_panel=_SWEEP)
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Submit, and don't wait.", rich_help_panel=_SWEEP)] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, so many cells.", rich_help_panel=_SWEEP)] = False,
    poll: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Longest time between two looks.", min=0.1, rich_help_panel=_SWEEP),
    ] = None,
    partition: Annotated[str | None, typer.Option(metavar="NAME", help="Of Slurm.", rich_help_panel=_SLURM)] = None,
    time_: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Of a job: 2:00:00.", rich_help_panel=_SLURM)
    ] = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Of a job: 4G.", rich_help_panel=_SLURM)] = None,
    cpus: Annotated[int | None, typer.Option(metavar="INTEGER", help="A job.", min=1, rich_help_panel=_SLURM)] = None,
    gpus: Annotated[int | None, typer.Option(metavar="INTEGER", help="A job.", min=0, rich_help_panel=_SLURM)] = None,
    array_limit: Annotated[
        int | None, typer.Option(metavar="INTEGER", help="Jobs that run at once.", min=1, rich_help_panel=_SLURM)
    ] = None,
    constraint: Annotated[str | None, typer.Option(metavar="TEXT", help="Of nodes.", rich_help_panel=_SLURM)] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Who pays.", rich_help_panel=_SLURM)] = None,
    qos: Annotated[str | None, typer.Option(metavar="NAME", help="Quality of service.", rich_help_panel=_SLURM)] = None,
    cells_per_job: Annotated[
        int | None, typer.Option(metavar="INTEGER", help="Most cells a job.", min=1, rich_help_panel=_SLURM)
    ] = None,
    minutes_per_job: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Most work a job.", min=0.01, rich_help_panel=_SLURM)
    ] = None,
    requeues: Annotated[
        int | None,
        typer.Option(metavar="INTEGER", help="Time limits that a job may reach.", min=0, rich_help_panel=_SLURM),
    ] = None,
    oom_retries: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER",
            help="Tries with half the group and twice the memory, after running out of it.",
            min=0,
            rich_help_panel=_SLURM,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Run a grid of cells as jobs of a cluster and print a table.

    Flags go before what the file says. The same command again goes on: it finds the jobs that run, submits only what
    is missing and gathers. Exit code 0: all is well, 2: bad input, 3: a cell failed.
    """
    if init:
        _write_example(file or Path("sweep.toml"))
        return
    if cluster not in _CLUSTERS:
        raise UsageError(f"unknown cluster '{cluster}'; {did_you_mean(cluster, _CLUSTERS)}")
    from nica_bench.sweep import Flags, Manner, Sweep, SweepFile, make_grid, parse_memory, parse_time, read_sweep

    if file is None and not scenario and not attach:
        raise UsageError("sweep takes a file, such as `nica-bench sweep --init` writes, or --scenario (-s)")
    text = read_sweep(file) if file is not None else SweepFile()
    folder = out_folder or text.out or Path("results")
    if attach:
        store = Store.open(folder, create=False)
        with _watching(store):
            sweeper = Sweep(store, say, poll)
            sweeper.attach()
            _watch(sweeper)
        _conclude(store, None, text.metrics, json_)
        return
    if device is not None:
        check_device_name(device)
    flags = {
        "partition": partition,
        "time": None if time_ is None else parse_time(time_),
        "memory": None if memory is None else parse_memory(memory),
        "cpus": cpus,
        "gpus": gpus,
        "array_limit": array_limit,
        "constraint": constraint,
        "account": account,
        "qos": qos,
        "cells_per_job": cells_per_job,
        "minutes_per_job": minutes_per_job,
        "requeues": requeues,
        "oom_retries": oom_retries,
    }
    wanted = Flags(scenario or [], method or [], given, dotted_parameters(parameter or []), seeds, inits)
    made = make_grid(text, wanted, lambda resources: resources.with_values(flags), yes)
    again = parse_statuses(retry if retry is not None else text.retry)
    session = context.find_object(Session)
    manner = Manner(
        device or text.device or "auto",
        timeout or text.timeout,
        compile or bool(text.compile),
        jobs or text.jobs,
        session is not None and session.debug,
    )
    everything = force or bool(text.force)
    if dry_run:
        _dry_run(made, Store.preview(folder), again, everything, cluster)
        return
    _check(cluster, made)
    store = Store.open(folder)
    with _watching(store):
        sweeper = Sweep(store, say, poll)
        sweeper.attach()
        plan = make_plan(made.scenarios, made.methods, made.seeds, made.inits, store, retry=again, force=everything)
        _start(sweeper, plan, made, cluster, manner)
        if detach and cluster == "slurm":
            say(f"the jobs run; `nica-bench status --out {folder}` says how far they are, the same command waits")
            return
        _watch(sweeper)
    _conclude(store, plan.cells, text.metrics, json_)


def status(
    out_folder: SweptOut = Path("results"),
    json_: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every ten seconds until all is done.")] = False,
    debug: Debug = False,
) -> None:
    """Show how far a sweep is: cells done, running, pending and failed, by method and scenario."""
    from nica_bench.sweep import CLUSTERS, overview

    store = Store.open(out_folder, create=False)
    while True:
        seen = overview(store, [make() for make in CLUSTERS.values()])
        total = {name: sum(getattr(line, name) for line in seen.lines) for name in _COUNTS}
        failed = sum((Counter(line.failed) for line in seen.lines), Counter[str]())
        if json_:
            lines = [{**vars(line), "missing": line.missing} for line in seen.lines]
            shown = {"lines": lines, **total, "failed": failed, "seconds_left": seen.seconds_left}
            typer.echo(json.dumps({**shown, "answered": seen.answered, "submitter": seen.submitter}, indent=2))
            return
        rows = [["scenario", "method", "cells", *_COUNTS[1:], "failed"]]
        for line in seen.lines:
            counts = [str(getattr(line, name)) for name in _COUNTS]
            rows.append([line.scenario, line.method, *counts, _failures(line.failed)])
        rows.append(["all", "", *(str(total[name]) for name in _COUNTS), _failures(failed)])
        listing(rows)
        if not seen.answered:
            say("the cluster does not answer: what runs is not known")
        if seen.seconds_left is not None:
            say(f"ETA {_clock(seen.seconds_left)} at the pace so far")
        if seen.submitter is not None:
            say(f"{seen.submitter['user']} watches it (process {seen.submitter['pid']} on {seen.submitter['host']})")
        if not watch or not total["running"] + total["pending"]:
            return
        time.sleep(10)


_COUNTS = ("total", "done", "running", "pending", "missing")


def cancel(out_folder: SweptOut = Path("results"), debug: Debug = False) -> None:
    """Cancel the jobs that sweeps into a folder have started, and no others; what is finished is kept."""
    from nica_bench.sweep import Journal, Sweep
    from nica_bench.sweep import cancel as cancel_jobs

    store = Store.open(out_folder, create=False)
    journal = Journal(store.folder)
    stopped = cancel_jobs(journal)
    if not stopped:
        say(f"no jobs of a sweep into {out_folder} are running or waiting")
        return
    jobs = sum(len(a.jobs) for a in stopped)
    say(f"cancelled: {jobs} jobs of {len(stopped)} arrays ({', '.join(str(a.number) for a in stopped)})")
    if journal.submitter() is None:  # else whoever watches gathers
        with journal.submitting():
            sweeper = Sweep(store, say, 2.0)
            sweeper.attach()
            for _ in sweeper.run():
                pass


def _write_example(path: Path) -> None:
    from nica_bench.sweep import example

    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError:
        raise UsageError(f"{path} is there already: name another file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    typer.echo(f"{path}: change it, then `nica-bench sweep {path} --dry-run` shows what it would do")


def _check(cluster: str, made: Made) -> None:
    """Refuse what the cluster would refuse, before anything is submitted."""
    from nica_bench.sweep import CLUSTERS

    CLUSTERS[cluster]().check(dict.fromkeys(made.resources.values()))


def _batches(cells: Sequence[Cell], made: Made, costs: Costs) -> list[Batch]:
    from nica_bench.sweep import pack

    return pack(cells, lambda cell: made.resources[cell.method], costs)


def _start(sweeper: Sweep, plan: Plan, made: Made, cluster: str, manner: Manner) -> None:
    """Submit what is neither there nor on its way."""
    from nica_bench.sweep import Costs

    running = sweeper.watch.keys
    cells = [c for c in plan.pending if c.spec.key not in running]
    _announce(plan, running)
    sweeper.journal.write_plan(plan.cells, sys.argv)
    costs = Costs(plan.store.scan(c.spec.key for c in plan.cells).records.values()) if cells else Costs([])
    sweeper.submit(plan, _batches(cells, made, costs), cluster, manner, made.texts)


def _announce(plan: Plan, running: set[str]) -> None:
    """What was found, and a line on what will be done."""
    for path, why in plan.broken.items():
        say(f"broken record {path}: {why}; it is computed again where it is asked for")
    for s in dict.fromkeys(c.scenario for c in plan.cells):
        for warning in s.warnings():
            say(f"note: {s.label}: {warning}")
    for (scenario, method), why in {(c.scenario.label, c.method.label): why for c, why in plan.skipped}.items():
        say(f"{method} on {scenario}: skipped, {why}")
    on_way = sum(c.spec.key in running for c in plan.pending)
    there = len(plan.cells) - len(plan.pending) - len(plan.skipped) - len(plan.failed)
    parts = [f"{there} there"]
    parts += [f"{len(plan.skipped)} skipped"] if plan.skipped else []
    parts += [f"{len(plan.failed)} failed before (--retry failed takes them again)"] if plan.failed else []
    parts += [f"{on_way} in jobs that run already"] if on_way else []
    say(f"{cells_text(len(plan.cells))}: {', '.join(parts)}, {len(plan.pending) - on_way} to submit")


def _dry_run(made: Made, store: Store, again: set[Any], force: bool, cluster: str) -> None:
    """Print what a sweep would do."""
    from nica_bench.sweep import Array, Costs, Journal, Slurm

    plan = make_plan(made.scenarios, made.methods, made.seeds, made.inits, store, retry=again, force=force)
    open_ = {c.key for array in Journal(store.folder).open_arrays() for job in array.jobs for c in job}
    cells = [c for c in plan.pending if c.spec.key not in open_]
    costs = Costs(plan.store.scan().records.values())
    batches = _batches(cells, made, costs)
    counts: dict[tuple[str, str], list[int]] = {}
    waiting = set(plan.pending)
    for cell in plan.cells:
        row = counts.setdefault((cell.scenario.label, cell.method.label), [0, 0])
        row[0] += 1
        row[1] += cell in waiting
    rows = [["scenario", "method", "cells", "cached", "pending"]]
    rows += [[s, m, str(n), str(n - todo), str(todo)] for (s, m), (n, todo) in counts.items()]
    listing(rows)
    pending, cached = len(plan.pending), len(plan.cells) - len(plan.pending)
    jobs = sum(len(b.jobs) for b in batches)
    typer.echo(f"{len(plan.cells)} cells: {cached} cached, {pending} pending; {jobs} jobs in {len(batches)} arrays")
    if len(cells) < pending:
        typer.echo(f"{pending - len(cells)} of the pending ones are in jobs of an earlier sweep")
    for batch in batches:
        most = max(map(len, batch.jobs))
        typer.echo(f"array of {len(batch.jobs)} jobs, {most} cells a job at most: {_estimate(batch, costs)}")
        if cluster == "slurm":
            slurm = Slurm()
            array = Array("nica-000000000000", "slurm", tuple(() for _ in batch.jobs), batch.resources)
            typer.echo(slurm.script(array, Journal(store.folder).array_folder(array.name)))
    if cluster == "slurm":
        try:
            _check(cluster, made)
        except NicaBenchError as error:
            raise UsageError(f"it could not be submitted from here: {error}") from error


def _estimate(batch: Batch, costs: Costs) -> str:
    cells = [c for job in batch.jobs for c in job]
    seconds = [s for c in cells if (s := costs.seconds(c)) is not None]
    memory = [m for c in cells if (m := costs.memory(c)) is not None]
    if not seconds:
        return "no records tell yet how long a cell takes"
    total = sum(seconds) / len(seconds) * len(cells)
    longest = max(sum(costs.seconds(c) or total / len(cells) for c in job) for job in batch.jobs)
    known = "" if len(seconds) == len(cells) else f" (known of {len(seconds)} of {len(cells)} cells)"
    most = f"; {max(memory) / 1e9:.1f} GB a process" if memory else ""
    return f"about {_clock(total)} of work{known}, {_clock(longest)} the longest job{most}"


def _watch(sweeper: Sweep) -> None:
    """Wait for all jobs, with a line now and then."""
    before: Tally | None = None
    shown = begun = time.monotonic()
    first: int | None = None
    for tally in sweeper.run():
        now = time.monotonic()
        first = tally.done if first is None else first
        if tally.total and tally != before and (before is None or now - shown >= _LINE_SECONDS):
            eta = ""
            if tally.done > first and tally.done < tally.total:
                eta = f", ETA {_clock((now - begun) / (tally.done - first) * (tally.total - tally.done))}"
            failed = f", {tally.failed} failed" if tally.failed else ""
            say(f"  {tally.done}/{tally.total} cells{failed}; jobs: {tally.running} run, {tally.pending} wait{eta}")
            shown, before = now, tally


def _conclude(store: Store, cells: Sequence[Cell] | None, metrics: Sequence[str], json_: bool) -> None:
    """Print the table of the records, and how cells failed."""
    from nica_bench.sweep import Journal

    keys = [c.spec.key for c in cells] if cells is not None else _planned(Journal(store.folder))
    records = list(store.scan(dict.fromkeys(keys)).records.values())
    tables = _tables(store, records, metrics)
    if json_:
        typer.echo(json.dumps(json.loads(render(tables, "json")), indent=2))
    else:
        for each in tables:
            out.print(terminal_table(each, out.width))
    failed = tell_failures(records)
    lost = len(set(keys)) - len(records)
    if lost:
        say(f"{cells_text(lost)} have no record: the same command again computes them")
    typer.echo(f"{len(records)} records in {store.cells}", err=json_)
    if failed or lost:
        raise typer.Exit(3)


def _planned(journal: Any) -> list[str]:
    return [key for entry in journal.plan()["cells"] for key in entry["keys"]]


def _tables(store: Store, records: Sequence[Record], metrics: Sequence[str]) -> list[Table]:
    if not metrics or not records:
        rows = rows_of(records, arrays=lambda r: store.arrays(r.key))
        return [scores_table(name, found) for name, found in rows.items()]
    collection = Collection(tuple(records))
    return [t for metric in metrics for t in table_kind("scores").build(collection, Query(metric, (), 0.95))[0]]


@contextlib.contextmanager
def _watching(store: Store) -> Iterator[None]:
    """Be the only one at work in a folder; on Ctrl-C and SIGTERM say what goes on, and exit as a shell expects."""
    from nica_bench.sweep import Journal

    journal = Journal(store.folder)

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with journal.submitting():
            yield
    except (KeyboardInterrupt, _Stopped) as stopped:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        say(
            "stopped watching: jobs that were submitted go on and keep what they finish; the same command waits for "
            f"them again, `nica-bench cancel --out {store.folder}` ends them"
        )
        raise typer.Exit(130 if isinstance(stopped, KeyboardInterrupt) else 143) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Stopped(BaseException):
    """SIGTERM arrived."""


def _failures(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "0"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
