"""`nica-bench run`: plan, compute what is missing, print the table."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from nica_bench.cli.console import Debug, Json, Out, Session, counted, err, out, say, tell
from nica_bench.cli.experiment import verdict_lines, verdicts_json, without
from nica_bench.cli.flags import scenario_with
from nica_bench.errors import UsageError
from nica_bench.experiments import Experiment, judge, make_experiment
from nica_bench.method import Method
from nica_bench.parameters import parse_name
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.registry import make_method, method_file, method_types, scenario_file
from nica_bench.running.plan import check_names, fitting, parse_seeds, parse_statuses, seeds_text
from nica_bench.running.progress import reporting, runs_text
from nica_bench.running.runner import Plan, execute, make_plan
from nica_bench.tables import render, rows_of, scores_table, terminal_table
from nica_bench.training.device import check_device_name

__all__ = ["dotted_parameters", "run", "tell_failures"]

_RUNNING = "Running"


def run(
    context: typer.Context,
    given: dict[str, str],
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", "-s", metavar="NAME", help=r"gauss-2of10, or gauss-2of10\[conditions=3]."),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="In place of scenarios: one of `list experiments`, or a .toml file."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", metavar="NAME", help=r"gin, gin\[lr=0.001] or ./file.py; default: all methods."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="TEXT", help="A method's parameter: gin.lr=0.001."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Datasets: 3 or 0:5,8; default: 0:10, 0 of images, or the experiment's."),
    ] = None,
    training_seeds: Annotated[
        int | None,
        typer.Option(
            "--training-seeds",
            "--inits",
            metavar="INTEGER",
            help="Initialisations a dataset; default: 1, 2 of digits.",
            min=1,
        ),
    ] = None,
    out_folder: Out = Path("results"),
    json_: Json = False,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="INTEGER", help="Worker processes; default: the cores.", min=1, rich_help_panel=_RUNNING),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.", rich_help_panel=_RUNNING)
    ] = "auto",
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Most seconds a run.", min=0.001, rich_help_panel=_RUNNING),
    ] = None,
    retry: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS", help="Compute these again: failed, or e.g. timeout,oom.", rich_help_panel=_RUNNING
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again.", rich_help_panel=_RUNNING)] = False,
    compile: Annotated[
        bool, typer.Option("--compile", help="Train with torch.compile.", rich_help_panel=_RUNNING)
    ] = False,
    figures: Annotated[
        bool,
        typer.Option(
            "--figures/--no-figures", help="Of images: write figures into OUT/figures.", rich_help_panel=_RUNNING
        ),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.", rich_help_panel=_RUNNING)] = False,
    debug: Debug = False,
) -> None:
    """Run methods on scenarios and print a table.

    What is there already is not computed again. An experiment also says whether what it expects was found; flags go
    before what its file says. Exit code 0: all is well, 2: bad input, 3: a run failed.
    """
    wanted, extra = _experiment(experiment, scenario), dotted_parameters(parameter or [])
    if wanted is None:
        texts, names = scenario or [], method or [name for name, m in method_types().items() if m.default]
    else:
        texts = [without(text, given) for text in wanted.scenarios]
        names = method or [without(text, extra.get(parse_name(text)[0], ())) for text in wanted.methods]
    scenarios = list(dict.fromkeys(scenario_with(text, given) for text in texts))
    methods = _methods(names, extra)
    if wanted is None and not method:
        methods = fitting(methods, scenarios)
    files = [*map(method_file, names), *map(scenario_file, texts)]
    modules = tuple(dict.fromkeys(str(path) for path in files if path))
    check_device_name(device)
    listed = seeds or (wanted.seeds if wanted else None)
    numbers, again = None if listed is None else parse_seeds(listed), parse_statuses(retry)
    store = Store.preview(out_folder) if dry_run else Store.open(out_folder)
    plan = make_plan(scenarios, methods, numbers, training_seeds, store, retry=again, force=force)
    _announce(plan)
    if dry_run:
        return
    session = context.find_object(Session)
    with _stoppable(plan), reporting(len(plan.pending), len(scenarios), err) as reporter:
        records = execute(
            plan,
            device=device,
            jobs=jobs,
            timeout=timeout,
            compile=compile,
            debug=session is not None and session.debug,
            modules=modules,
            reporter=reporter,
        )
    tables = [scores_table(name, rows) for name, rows in rows_of(records, arrays=lambda r: store.arrays(r.key)).items()]
    verdicts = judge(wanted, records) if wanted else []
    if json_:
        shown = json.loads(render(tables, "json"))
        typer.echo(json.dumps(shown | {"experiment": verdicts_json(wanted, verdicts)} if wanted else shown, indent=2))
    else:
        for each in tables:
            out.print(terminal_table(each, out.width))
        if wanted:
            tell(verdict_lines(wanted, verdicts))
    failed = tell_failures(records)
    typer.echo(f"{counted(len(records), 'record')} in {store.runs}", err=json_)
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


def _experiment(name: str | None, scenario: Sequence[str] | None) -> Experiment | None:
    """The experiment that was asked for; None where scenarios were."""
    if (name is None) == (not scenario):
        got = "neither" if name is None else "both"
        raise UsageError(f"run takes --scenario (-s) or --experiment, got {got}")
    return None if name is None else make_experiment(name)


def _methods(names: Sequence[str], extra: Mapping[str, Mapping[str, str]]) -> list[Method]:
    """The methods, each once, with their parameters from -p."""
    methods = list(dict.fromkeys(make_method(name, extra) for name in names))
    check_names(methods, extra, "-p ")
    return methods


def dotted_parameters(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """Parameters by method and name from `method.parameter=value`, as -p takes it. Raises UsageError."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        owner, dot, key = name.partition(".")
        if not (equals and dot):
            raise UsageError(f"-p is written method.parameter=value, got '{text}'")
        if key in found.setdefault(owner, {}):
            raise UsageError(f"-p {owner}.{key} is given twice")
        found[owner][key] = value
    return found


def _announce(plan: Plan) -> None:
    """What was found broken, and one line a (scenario, method) of what will be done."""
    for path, reason in plan.broken.items():
        say(f"broken record {path}: {reason}; it is computed again where it is asked for")
    waiting = set(plan.pending)
    skipped = dict(plan.skipped)
    for s in dict.fromkeys(c.scenario for c in plan.runs):
        for warning in s.warnings():
            say(f"note: {s.label}: {warning}")
        for m in dict.fromkeys(c.method for c in plan.runs):
            mine = [c for c in plan.runs if c.scenario == s and c.method == m]
            todo = sum(c in waiting for c in mine)
            left = [skipped[c] for c in mine if c in skipped]
            why = f", {len(left)} skipped: {left[0]}" if left else ""
            failed = sum(c in plan.failed for c in mine)
            there = len(mine) - todo - len(left) - failed
            again = f", {failed} failed before (--retry failed takes them again)" if failed else ""
            say(f"{s.label}  {m.label}: {runs_text(len(mine))}, {there} there{again}, {todo} to run{why}")


class _Stopped(BaseException):
    """SIGTERM arrived."""


def _on_term(number: int, frame: FrameType | None) -> None:
    raise _Stopped


@contextlib.contextmanager
def _stoppable(plan: Plan) -> Iterator[None]:
    """On Ctrl-C and SIGTERM: say what is kept, and exit as a shell expects."""
    before = signal.signal(signal.SIGTERM, _on_term)
    try:
        yield
    except (KeyboardInterrupt, _Stopped) as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the message is not to be cut short by a second one
        keys = {c.spec.key for c in plan.runs}
        there = len(plan.store.scan(keys).records)
        say(f"stopped: {there} of {runs_text(len(keys))} are kept; the same command goes on from there")
        raise typer.Exit(130 if isinstance(stop, KeyboardInterrupt) else 143) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def tell_failures(records: Sequence[Record]) -> bool:
    """A line for each way in which runs failed; whether any did."""
    ways: dict[tuple[str, ...], list[int]] = {}
    for r in records:
        if r.status not in (Status.OK, Status.SKIPPED):
            way = (r.status.value, r.spec.method_label, r.spec.scenario_label, r.message)
            ways.setdefault(way, []).append(r.spec.seed)
    for (status, method, scenario, message), seeds in ways.items():
        say(f"{status}: {method} on {scenario}, {runs_text(len(seeds))} (seeds {seeds_text(seeds)}): {message}")
    return bool(ways)
