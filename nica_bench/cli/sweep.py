"""`nica-bench sweep`: a grid of runs as jobs of a cluster."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from nica_bench.cli.console import Debug, Json, Session, say
from nica_bench.cli.dry_run import dry_run as print_plan
from nica_bench.cli.flags import DryRun, GridOptions, RunningOptions, Yes, option
from nica_bench.cli.outcome import show_outcome
from nica_bench.cli.watching import wait, watching
from nica_bench.errors import UsageError
from nica_bench.experiments import Experiment, open_grid_file, read_experiment
from nica_bench.records.store import Store
from nica_bench.running.grid import MANY_RUNS
from nica_bench.running.gridfile import GridFile
from nica_bench.running.progress import runs_text
from nica_bench.running.resources import parse_memory, parse_time

__all__ = ["example", "sweep"]

slurm_option = functools.partial(option, panel="Slurm")
sweep_option = functools.partial(option, panel="Sweep")
_OOM = "Try runs that ran out of memory this many times again, in half the group with twice the memory."


@dataclass(frozen=True)
class SlurmOptions:
    """What the jobs of `--cluster slurm` ask for; each takes precedence over the table [slurm] of a file."""

    partition: Annotated[str | None, slurm_option("Submit the jobs to this partition.", "NAME")] = None
    time: Annotated[str | None, slurm_option("Limit a job to this time, such as 2:00:00.", "TIME")] = None
    memory: Annotated[str | None, slurm_option("Give a job this memory, such as 4G.", "SIZE")] = None
    cpus: Annotated[int | None, slurm_option("Give a job this many cores.", "INTEGER", min=1)] = None
    gpus: Annotated[int | None, slurm_option("Give a job this many accelerators.", "INTEGER", min=0)] = None
    array_limit: Annotated[int | None, slurm_option("Let this many jobs run at once.", "INTEGER", min=1)] = None
    constraint: Annotated[str | None, slurm_option("Use nodes with this feature.", "TEXT")] = None
    account: Annotated[str | None, slurm_option("Charge this account.", "NAME")] = None
    qos: Annotated[str | None, slurm_option("Ask for this quality of service.", "NAME")] = None
    runs_per_job: Annotated[int | None, slurm_option("Put at most this many runs into a job.", "INTEGER", min=1)] = None
    minutes_per_job: Annotated[
        float | None, slurm_option("Put at most this much work into a job.", "MINUTES", min=0.01)
    ] = None
    requeues: Annotated[
        int | None, slurm_option("Let a job go on after its time limit this many times.", "INTEGER", min=0)
    ] = None
    oom_retries: Annotated[int | None, slurm_option(_OOM, "INTEGER", min=0)] = None

    def resources(self) -> dict[str, Any]:
        """Values for `Resources`; None where an option was not given. Raises UsageError."""
        time = None if self.time is None else parse_time(self.time)
        return {**asdict(self), "time": time, "memory": None if self.memory is None else parse_memory(self.memory)}


@dataclass(frozen=True)
class SweepOptions:
    """How a sweep goes on."""

    cluster: Annotated[
        str, sweep_option("Compute on slurm, local (processes of this machine) or debug (this process itself).", "NAME")
    ] = "local"
    init: Annotated[bool, sweep_option("Write an example of a file, with every key explained.", None, "--init")] = False
    attach: Annotated[bool, sweep_option("Submit nothing, and wait for the jobs that run.", None, "--attach")] = False
    detach: Annotated[bool, sweep_option("Submit the jobs, and do not wait for them.", None, "--detach")] = False
    poll: Annotated[float | None, sweep_option("Look at the jobs at least this often.", "SECONDS", min=0.1)] = None


def sweep(
    context: typer.Context,
    given: dict[str, str],
    what: GridOptions,
    how: RunningOptions,
    options: SweepOptions,
    slurm: SlurmOptions,
    file: Annotated[
        str | None,
        typer.Argument(metavar="sweep.toml", help="A file that says what is run, or the name of an experiment."),
    ] = None,
    json_: Json = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    debug: Debug = False,
) -> None:
    """Run a grid of scenarios and methods as jobs of a cluster and print a table.

    Command-line options take precedence over the file. The same command again goes on: it finds the jobs that run,
    submits only what is missing and gathers the records. Exit code 0: all is well, 2: bad input, 3: a run failed.

    Example: nica-bench sweep --init; nica-bench sweep sweep.toml --cluster slurm
    """
    if options.init:
        _write_example(Path(file or "sweep.toml"))
        return
    if file is None and not what.scenario and not options.attach:
        raise UsageError("sweep takes a file, such as `nica-bench sweep --init` writes, or --scenario (-s)")
    text = open_grid_file(file) if file is not None else GridFile()
    settings = how.settings().over(text.settings)
    folder = settings.out or Path("results")
    if options.attach:
        _attach(folder, options.poll, text.metrics, json_)
        return
    from nica_bench.sweep import carry_out, make_order

    session = context.find_object(Session)
    order = make_order(
        text,
        what.request(given),
        settings,
        cluster=options.cluster,
        resources=slurm.resources(),
        limit=None if yes else MANY_RUNS,
        debug=session is not None and session.debug,
    )
    experiment = read_experiment(text)
    if dry_run:
        print_plan(order, Store.preview(folder))
        return
    order.check()
    store = Store.open(folder)
    leave = options.detach and options.cluster == "slurm"
    with watching(folder):
        plan = carry_out(order, store, say, (lambda sweep: None) if leave else wait, options.poll)
    if leave:
        say(f"the jobs run; `nica-bench status --out {folder}` says how far they are, the same command waits")
        return
    _conclude(store, [run.spec.key for run in plan.runs], text.metrics, experiment, json_, "the same command again")


def _attach(folder: Path, poll: float | None, metrics: Sequence[str], json_: bool) -> None:
    """Wait for the jobs of earlier sweeps, and show what the last one asked for."""
    from nica_bench.sweep import Journal, Sweep

    store = Store.open(folder, create=False)
    journal = Journal(store.folder)
    with watching(folder), journal.submitting():
        sweeper = Sweep(store, say, poll)
        sweeper.attach()
        wait(sweeper)
    keys = [key for entry in journal.plan()["cells"] for key in entry["keys"]]
    _conclude(store, keys, metrics, None, json_, "the sweep's command, without --attach,")


def example() -> str:
    """The text of a file in which every key is explained."""
    return (files("nica_bench.sweep") / "example.toml").read_text(encoding="utf-8")


def _write_example(path: Path) -> None:
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError:
        raise UsageError(f"{path} is there already: name another file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    typer.echo(f"{path}: change it, then `nica-bench sweep {path} --dry-run` shows what it would do")


def _conclude(
    store: Store, keys: Sequence[str], metrics: Sequence[str], experiment: Experiment | None, json_: bool, again: str
) -> None:
    """Show the records of a sweep, and exit with 3 where a run failed or has none."""
    records = list(store.scan(dict.fromkeys(keys)).records.values())
    failed = show_outcome(store, records, metrics=metrics, experiment=experiment, json_=json_)
    lost = len(set(keys)) - len(records)
    if lost:
        say(f"{runs_text(lost)} without a record: {again} computes what is missing")
    if failed or lost:
        raise typer.Exit(3)
