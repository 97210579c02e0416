"""`nica-bench list`, `info` and `show`: scenarios, methods, metrics, experiments, the machine, and records."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from nica_bench.cli.console import Debug, Json, Out, listing, out, tell
from nica_bench.cli.experiment import about, about_lines
from nica_bench.cli.flags import flag_of
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.experiments import Experiment, experiment_names, make_experiment
from nica_bench.method import Method
from nica_bench.parameters import Range, parameters_of, parse_name
from nica_bench.records.command import command_again
from nica_bench.records.store import Store
from nica_bench.registry import (
    data_file,
    installed_metrics,
    make_method,
    make_scenario,
    method_file,
    method_types,
    scenario_types,
)
from nica_bench.running.plan import parse_seeds
from nica_bench.scenario import Scenario

if TYPE_CHECKING:
    from nica_bench.metrics import Metric

__all__ = ["info", "list_", "show"]


def list_(
    what: Annotated[str, typer.Argument(help="scenarios, methods, metrics or experiments.")],
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """List the installed scenarios, methods, metrics or experiments.

    Example: nica-bench list methods
    """
    kinds = {"scenarios": _scenarios, "methods": _methods, "metrics": _metrics, "experiments": _experiments}
    if what not in kinds:
        expected = "scenarios, methods, metrics or experiments"
        raise UsageError(f"list takes {expected}, got '{what}'; {did_you_mean(what, kinds)}")
    rows = kinds[what]()
    if json_:
        typer.echo(json.dumps(rows, indent=2))
    else:
        listing([[str(value) for value in row.values()] for row in rows])


def _scenarios() -> list[dict[str, Any]]:
    return [{"name": owner.usage(), "description": _first_line(owner)} for owner in scenario_types().values()]


def _methods() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "kind": owner.kind(),
            "side_information": owner.side_information or "-",
            "description": _first_line(owner),
        }
        for name, owner in method_types().items()
    ]


def _metrics() -> list[dict[str, Any]]:
    return [
        {"name": m.name, "range": f"{m.low:g} to {m.high:g}".replace("inf", "any"), "description": m.description}
        for m in _all_metrics().values()
    ]


def _all_metrics() -> dict[str, Metric]:
    """The metrics of nica-bench and those that installed packages add, by name."""
    from nica_bench.metrics import METRICS

    return {**METRICS, **installed_metrics()}


def _experiments() -> list[dict[str, Any]]:
    found = [make_experiment(name) for name in experiment_names()]
    return [{"name": e.name, "description": e.title, "source": e.source} for e in found]


def _first_line(owner: type) -> str:
    return (owner.__doc__ or "").strip().partition("\n")[0]


def info(
    given: dict[str, str],
    name: Annotated[
        str | None, typer.Argument(help="A scenario, method, metric or experiment; default: versions and machine.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="LIST", help="Measure the difficulty of these datasets, e.g. 0:5.")
    ] = None,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Describe a scenario, method, metric or experiment, measure datasets, or show versions and machine.

    Example: nica-bench info gauss-2of10 --seeds 0:5
    """
    metrics = _all_metrics()
    base = parse_name(name)[0] if name else None
    if name and (base in method_types() or (method_file(name) and not data_file(name))):
        thing: Any = make_method(name)
    elif name and (name in experiment_names() or name.endswith(".toml")):
        thing = make_experiment(name)
    elif name and base not in metrics:
        thing = _scenario(name, given)
    else:
        thing = None
    if not isinstance(thing, Scenario):
        used = [flag_of(parameter) for parameter in given] + (["--seeds"] if seeds else [])
        if used:
            raise UsageError(f"{', '.join(used)}: expected the name of a scenario, got {name or 'no name'}")
    if name is None:
        from nica_bench.running.machine import environment

        _values(environment(), json_)
    elif isinstance(thing, Experiment):
        if json_:
            typer.echo(json.dumps(about(thing), indent=2))
        else:
            tell(about_lines(thing))
    elif thing is None:
        metric = metrics[name]
        _values({"metric": metric.name, "description": metric.description, "range": [metric.low, metric.high]}, json_)
    elif seeds is not None:
        _difficulty(thing, parse_seeds(seeds), json_)
    else:
        _about(thing, json_)


def _scenario(name: str, given: Mapping[str, str]) -> Scenario:
    """Return a scenario; the error for an unknown name suggests scenarios, methods, metrics and experiments."""
    try:
        return make_scenario(name, given)
    except UsageError as error:
        base = parse_name(name)[0]
        near = did_you_mean(base, [*method_types(), *_all_metrics(), *experiment_names()])
        if str(error).startswith("unknown scenario") and near.startswith("did you mean"):
            raise UsageError(f"'{base}' is not a scenario, method, metric or experiment; {near}") from error
        raise


def _values(values: Mapping[str, Any], json_: bool) -> None:
    if json_:
        finite = {k: [x if math.isfinite(x) else None for x in v] if k == "range" else v for k, v in values.items()}
        typer.echo(json.dumps(finite, indent=2))
        return
    rows = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += [[str(name), str(version or "missing")] for name, version in value.items()]
        elif key.endswith("bytes"):
            rows.append([key.removesuffix("_bytes").replace("_", " "), f"{value / 2**30:.1f} GiB"])
        elif isinstance(value, list):
            rows.append([key, (" to " if key == "range" else ", ").join(map(str, value)) or "none"])
        else:
            rows.append([key.replace("_", " "), "none" if value is None else str(value)])
    listing(rows)


def _about(thing: Method | Scenario, json_: bool) -> None:
    """Print the description and the parameters of a scenario or a method."""
    parameters = [
        {
            "name": key,
            "value": _plain(getattr(thing, key)),
            "default": _plain(spec.default),
            "description": spec.help,
            "expected": spec.expected(),
        }
        for key, spec in parameters_of(type(thing)).items()
    ]
    text = inspect.cleandoc(type(thing).__doc__ or "")
    facts: dict[str, Any] = {"name": thing.name, "description": text, "version": thing.version}
    if isinstance(thing, Method):
        facts |= {"kind": thing.kind(), "side_information": thing.side_information}
    else:
        facts |= {"equivalence": thing.equivalence, "warnings": thing.warnings()}
    if json_:
        typer.echo(json.dumps({**facts, "parameters": parameters}, indent=2))
        return
    typer.echo(f"{thing.label}\n\n{text}\n")
    if isinstance(thing, Method):
        typer.echo(f"Kind: {_KINDS[thing.kind()]}. Side information: {_letters(thing.side_information)}.")
    else:
        typer.echo(f"By the theory the latents are identifiable up to: {thing.equivalence}.")
        for warning in thing.warnings():
            typer.echo(f"note: {warning}")
    if parameters:
        typer.echo("\nParameters")
        listing([[f"  {p['name']}", str(p["value"]), f"{p['description']} ({p['expected']})"] for p in parameters])


_KINDS = {"method": "method", "baseline": "baseline", "reference": "supervised reference"}
_LETTERS = {"u": "conditions", "n": "number of latents", "f": "family of the latents", "z": "latents"}


def _letters(side_information: str) -> str:
    return ", ".join(f"{letter} ({_LETTERS[letter]})" for letter in side_information) or "none"


def _plain(value: Any) -> Any:
    """Return the value of a parameter for JSON."""
    return str(value) if isinstance(value, Range) else value


def _difficulty(scenario: Scenario, seeds: list[int], json_: bool) -> None:
    """Print the difficulty of datasets; nothing is trained."""
    from nica_bench.metrics.difficulty import DIFFICULTY

    measured = {seed: scenario.generate(seed).difficulty for seed in seeds}
    if json_:
        rows = [{"seed": seed, **figures} for seed, figures in measured.items()]
        typer.echo(json.dumps({"scenario": scenario.label, "datasets": rows}, indent=2))
        return
    names = list(dict.fromkeys(name for figures in measured.values() for name in figures))
    title = scenario.label.replace("[", r"\[")
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, title_justify="left")
    table.add_column("seed", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for i, (seed, figures) in enumerate(measured.items()):
        texts = [f"{figures[name]:.3f}" if name in figures else "-" for name in names]
        table.add_row(str(seed), *texts, end_section=i + 1 == len(seeds) > 1)
    if len(seeds) > 1:
        import numpy as np

        columns = [[f[name] for f in measured.values() if name in f] for name in names]
        table.add_row("median", *(f"{np.median(column):.3f}" for column in columns))
    out.print(table)
    listing([[name, DIFFICULTY.get(name, "")] for name in names])


def show(
    key: Annotated[str, typer.Argument(help="The key of a record, or its beginning.")],
    out_folder: Out = Path("results"),
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Print a record and the command that reproduces it.

    Example: nica-bench show 3f2a91 --out results
    """
    store = Store.open(out_folder, create=False)
    record = store.read(store.find(key))
    if json_:
        typer.echo(json.dumps(record.to_json(), indent=2))
        return
    spec = record.spec
    rows = [
        ["key", record.key],
        ["run", f"{spec.method_label} on {spec.scenario_label}, seed {spec.seed}, training seed {spec.training_seed}"],
        ["status", record.status.value + (f": {record.message}" if record.message else "")],
        *(["note", note] for note in record.notes),
    ]
    parts = ("scores", "dimensions", "difficulty", "training", "cost")
    for part in parts:
        for name, value in getattr(record, part).items():
            rows.append([name, f"{value:.4g}" if isinstance(value, float) else str(value)])
    source = record.provenance
    rows += [[name, str(source[name])] for name in ("host", "cpu", "device", "python", "ended") if name in source]
    rows.append(["arrays", ", ".join(record.arrays.names) if record.arrays else "none"])
    listing(rows)
    command = command_again(
        record, str(spec.seed), spec.training_seed + 1, "--force", made_by=record.provenance.get("command")
    )
    typer.echo(f"\n# reproduces it:\n{command}")
