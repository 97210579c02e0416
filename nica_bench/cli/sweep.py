"""`nica-bench sweep`: a grid of runs as jobs of a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nica_bench.cli.console import Debug, Json, Session, counted, out, say
from nica_bench.cli.dry_run import dry_run as print_plan
from nica_bench.cli.run import dotted_parameters, tell_failures
from nica_bench.cli.watching import wait, watching
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record
from nica_bench.records.store import Store
from nica_bench.running.plan import Run, parse_statuses
from nica_bench.running.progress import runs_text
from nica_bench.running.runner import Plan, make_plan
from nica_bench.tables import Query, Table, render, rows_of, scores_table, table_kind, terminal_table
from nica_bench.training.device import check_device_name

if TYPE_CHECKING:
    from nica_bench.sweep import Made, Manner, Sweep

__all__ = ["sweep"]

_CLUSTERS = ("slurm", "local", "debug")
_SWEEP, _SLURM = "Sweep", "Slurm"


def sweep(
    context: typer.Context,
    given: dict[str, str],
    file: Annotated[Path | None, typer.Argument(metavar="sweep.toml", help="What to sweep; --init writes one.")] = None,
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
    training_seeds: Annotated[
        int | None,
        typer.Option("--training-seeds", "--inits", metavar="INTEGER", help="Initialisations a dataset.", min=1),
    ] = None,
    out_folder: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Folder of the records.")] = None,
    json_: Json = False,
    jobs: Annotated[
        int | None, typer.Option(metavar="INTEGER", help="Workers of --cluster local; default: the cores.", min=1)
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Most seconds a run.", min=0.001)] = None,
    retry: Annotated[
        str | None, typer.Option(metavar="STATUS", help="Compute these again: failed, or e.g. timeout,oom.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="Train with torch.compile.")] = False,
    cluster: Annotated[
        str, typer.Option(metavar="NAME", help="slurm, local or debug.", rich_help_panel=_SWEEP)
    ] = "local",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print runs, jobs, an estimate and the script.", rich_help_panel=_SWEEP)
    ] = False,
    init: Annotated[
        bool, typer.Option("--init", help="Write an example of a sweep file.", rich_help_panel=_SWEEP)
    ] = False,
    attach: Annotated[
        bool, typer.Option("--attach", help="Submit nothing: wait for what runs.", rich_help_panel=_SWEEP)
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Submit, and don't wait.", rich_help_panel=_SWEEP)] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, so many runs.", rich_help_panel=_SWEEP)] = False,
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
    runs_per_job: Annotated[
        int | None, typer.Option(metavar="INTEGER", help="Most runs a job.", min=1, rich_help_panel=_SLURM)
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
    """Run a grid of runs as jobs of a cluster and print a table.

    Flags go before what the file says. The same command again goes on: it finds the jobs that run, submits only what
    is missing and gathers. Exit code 0: all is well, 2: bad input, 3: a run failed.
    """
    if init:
        _write_example(file or Path("sweep.toml"))
        return
    if cluster not in _CLUSTERS:
        raise UsageError(f"unknown cluster '{cluster}'; {did_you_mean(cluster, _CLUSTERS)}")
    from nica_bench.sweep import (
        CLUSTERS,
        Flags,
        Manner,
        Sweep,
        SweepFile,
        make_grid,
        parse_memory,
        parse_time,
        read_sweep,
    )

    if file is None and not scenario and not attach:
        raise UsageError("sweep takes a file, such as `nica-bench sweep --init` writes, or --scenario (-s)")
    text = read_sweep(file) if file is not None else SweepFile()
    folder = out_folder or text.out or Path("results")
    if attach:
        store = Store.open(folder, create=False)
        with watching(store):
            sweeper = Sweep(store, say, poll)
            sweeper.attach()
            wait(sweeper)
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
        "runs_per_job": runs_per_job,
        "minutes_per_job": minutes_per_job,
        "requeues": requeues,
        "oom_retries": oom_retries,
    }
    wanted = Flags(scenario or [], method or [], given, dotted_parameters(parameter or []), seeds, training_seeds)
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
        print_plan(made, Store.preview(folder), again, everything, cluster)
        return
    if cluster != "slurm" and manner.device not in ("auto", "cpu"):
        from nica_bench.training.device import resolve_device

        resolve_device(manner.device)
    CLUSTERS[cluster]().check(dict.fromkeys(made.resources.values()))
    store = Store.open(folder)
    with watching(store):
        sweeper = Sweep(store, say, poll)
        sweeper.attach()
        plan = make_plan(
            made.scenarios, made.methods, made.seeds, made.training_seeds, store, retry=again, force=everything
        )
        _start(sweeper, plan, made, cluster, manner)
        if detach and cluster == "slurm":
            say(f"the jobs run; `nica-bench status --out {folder}` says how far they are, the same command waits")
            return
        wait(sweeper)
    _conclude(store, plan.runs, text.metrics, json_)


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


def _start(sweeper: Sweep, plan: Plan, made: Made, cluster: str, manner: Manner) -> None:
    """Submit what is neither there nor on its way."""
    from nica_bench.sweep import Costs, pack

    running = sweeper.watch.keys
    runs = [c for c in plan.pending if c.spec.key not in running]
    _announce(plan, running)
    sweeper.journal.write_plan(plan.runs, sys.argv)
    costs = Costs(plan.store.scan(c.spec.key for c in plan.runs).records.values()) if runs else Costs([])
    sweeper.submit(plan, pack(runs, lambda run: made.resources[run.method], costs), cluster, manner, made.texts)


def _announce(plan: Plan, running: set[str]) -> None:
    """What was found, and a line on what will be done."""
    for path, why in plan.broken.items():
        say(f"broken record {path}: {why}; it is computed again where it is asked for")
    for s in dict.fromkeys(c.scenario for c in plan.runs):
        for warning in s.warnings():
            say(f"note: {s.label}: {warning}")
    for (scenario, method), why in {(c.scenario.label, c.method.label): why for c, why in plan.skipped}.items():
        say(f"{method} on {scenario}: skipped, {why}")
    on_way = sum(c.spec.key in running for c in plan.pending)
    there = len(plan.runs) - len(plan.pending) - len(plan.skipped) - len(plan.failed)
    parts = [f"{there} there"]
    parts += [f"{len(plan.skipped)} skipped"] if plan.skipped else []
    parts += [f"{len(plan.failed)} failed before (--retry failed takes them again)"] if plan.failed else []
    parts += [f"{on_way} in jobs that run already"] if on_way else []
    say(f"{runs_text(len(plan.runs))}: {', '.join(parts)}, {len(plan.pending) - on_way} to submit")


def _conclude(store: Store, runs: Sequence[Run] | None, metrics: Sequence[str], json_: bool) -> None:
    """Print the table of the records, and how runs failed."""
    from nica_bench.sweep import Journal

    keys = [c.spec.key for c in runs] if runs is not None else _planned(Journal(store.folder))
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
        again = "the same command again" if runs is not None else "the sweep's command, without --attach,"
        say(f"{runs_text(lost)} without a record: {again} computes what is missing")
    typer.echo(f"{counted(len(records), 'record')} in {store.runs}", err=json_)
    if failed or lost:
        raise typer.Exit(3)


def _planned(journal: Any) -> list[str]:
    return [key for entry in journal.plan()["cells"] for key in entry["keys"]]


def _tables(store: Store, records: Sequence[Record], metrics: Sequence[str]) -> list[Table]:
    if not metrics or not records:
        rows = rows_of(records, arrays=lambda r: store.arrays(r.key))
        return [scores_table(name, found) for name, found in rows.items()]
    tables: list[Table] = []
    for metric in metrics:
        try:
            tables += table_kind("scores").build(Collection(tuple(records)), Query(metric, (), 0.95))[0]
        except UsageError as error:  # what was computed is shown all the same
            say(f"note: no table of {metric}: {error}")
    return tables or _tables(store, records, ())
