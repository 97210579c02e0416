"""`nica-bench run`: plan, compute what is missing, print the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from nica_bench.cli.console import Debug, Json, Session, err, say
from nica_bench.cli.flags import DryRun, GridOptions, RunningOptions, Yes, option
from nica_bench.cli.outcome import show_outcome
from nica_bench.cli.watching import stoppable
from nica_bench.errors import UsageError
from nica_bench.experiments import open_grid_file, read_experiment
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.running.grid import MANY_RUNS, resolve
from nica_bench.running.gridfile import GridFile
from nica_bench.running.plan import parse_statuses
from nica_bench.running.progress import reporting, runs_text
from nica_bench.running.runner import Plan, execute, make_plan

__all__ = ["run"]

_EXPERIMENT = "Run what a file says: one of `nica-bench list experiments`, or a file such as a sweep.toml."


def run(
    context: typer.Context,
    given: dict[str, str],
    what: GridOptions,
    how: RunningOptions,
    experiment: Annotated[str | None, option(_EXPERIMENT, "NAME")] = None,
    figures: Annotated[
        bool, option("Draw figures of image scenarios into OUT/figures.", None, "--figures/--no-figures")
    ] = True,
    json_: Json = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    debug: Debug = False,
) -> None:
    """Run methods on scenarios and print a table.

    Runs whose records exist are not computed again. After an experiment it is also said whether the results are as
    expected. Command-line options take precedence over the file; if one changes the experiment, its expectations are
    not evaluated. Exit code 0: all is well, 2: bad input, 3: a run failed.

    Example: nica-bench run -s gauss-2of10 -m gin -m pca --conditions 3 --seeds 0:20
    """
    if (experiment is None) == (not what.scenario):
        got = "neither" if experiment is None else "both"
        raise UsageError(f"run takes --scenario (-s) or --experiment, got {got}")
    file = GridFile() if experiment is None else open_grid_file(experiment)
    settings = how.settings().over(file.settings)
    wanted = read_experiment(file)
    grid = resolve(what.request(given), file.request, None if yes else MANY_RUNS)
    folder, again = settings.out or Path("results"), parse_statuses(settings.retry)
    store = Store.preview(folder) if dry_run else Store.open(folder)
    plan = make_plan(grid, store, retry=again, force=bool(settings.force))
    _announce(plan)
    if dry_run:
        return
    session = context.find_object(Session)
    with stoppable(lambda interrupted: _kept(plan)), reporting(len(plan.pending), len(grid.scenarios), err) as reporter:
        records = execute(
            plan,
            device=settings.device or "auto",
            jobs=settings.jobs,
            timeout=settings.timeout,
            compile=bool(settings.compile),
            debug=session is not None and session.debug,
            modules=grid.modules,
            metrics=settings.metric_files or (),
            reporter=reporter,
        )
    failed = show_outcome(store, records, metrics=file.metrics, experiment=wanted, json_=json_)
    for line in _draw(plan, records) if figures else ():
        typer.echo(line, err=json_)
    if failed:
        raise typer.Exit(3)


def _draw(plan: Plan, records: Sequence[Record]) -> Iterator[str]:
    """Figures of the scenarios of images of which something is new or missing; a line says where they are."""
    wanted = [scenario for scenario in dict.fromkeys(c.scenario for c in plan.runs) if scenario.image_shape]
    if not wanted:
        return
    from nica_bench.figures.writing import RUN_KINDS, file_name, missing_figures, write_figures

    new = {run.scenario for run in plan.pending}
    for scenario in wanted:
        folder = plan.store.folder / "figures" / file_name(scenario.label)
        kinds = RUN_KINDS if scenario in new else missing_figures(folder)
        mine = tuple(r for r in records if r.spec.scenario_label == scenario.label)
        if not kinds or not any(r.status is Status.OK for r in mine):
            continue
        for note in write_figures(Collection(mine, {r.key: plan.store for r in mine}), folder, kinds):
            say(f"note: {note}")
        if folder.is_dir():
            yield f"figures in {folder}"


def _announce(plan: Plan) -> None:
    """Say what was found, and what will be done, a line per scenario and method."""
    for note in plan.notes():
        say(note)
    for (scenario, method), counts in plan.counts().items():
        why = f"; skipped: {counts.why}" if counts.why else ""
        there = f"{runs_text(counts.runs)}, {counts.text('there')}, {counts.pending} to run{why}"
        say(f"{scenario.label}  {method.label}: {there}")


def _kept(plan: Plan) -> str:
    keys = {run.spec.key for run in plan.runs}
    there = len(plan.store.scan(keys).records)
    return f"stopped: {there} of {runs_text(len(keys))} are kept; the same command resumes"
