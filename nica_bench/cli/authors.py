"""`nica-bench check` and `new`, for authors of methods and scenarios."""

from __future__ import annotations

import json
import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from nica_bench.cli.console import Debug, Json, counted, say, tell
from nica_bench.errors import UsageError, did_you_mean

__all__ = ["check", "new"]

_KINDS = ("method", "scenario", "metric")


def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .py file of methods, scenarios or metrics, or a data file.")
    ],
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Check that the methods, scenarios and metrics of a file satisfy their contract.

    Every finding is printed with its line. The exit code is 0 without findings, 3 with findings, and 2 if the file
    cannot be imported.

    Example: nica-bench check ./mine.py
    """
    from nica_bench.checking import check_file
    from nica_bench.registry import data_file

    if data_file(str(file)) is not None:
        _check_data(str(file), json_)
        return
    report = check_file(file, say)
    if json_:
        findings = [{"file": str(file), "line": f.line, "text": f.text} for f in report.findings]
        typer.echo(json.dumps({"checked": report.checked, "findings": findings}, indent=2))
    else:
        tell(f"{file}:{f.line}: {f.text}" for f in sorted(report.findings, key=lambda f: f.line))
        good = "no findings" if not report.findings else counted(len(report.findings), "finding")
        tell(f"{file}: {what}, {count} checks" for what, count in report.checked.items())
        tell([f"{file}: {good}"])
    if report.findings:
        raise typer.Exit(3)


def _check_data(file: str, json_: bool) -> None:
    """Say what a data file holds; whatever is wrong with it is an error. Raises UsageError."""
    from nica_bench.registry import make_scenario

    scenario = make_scenario(file)
    data = scenario.generate(0)
    facts = {
        "rows": sum(len(split.x) for split in data.splits),
        "parts": [len(split.x) for split in data.splits],
        "n_observed": data.n_observed,
        "n_latents": data.n_latents,
        "conditions": data.conditions,
        "image_shape": data.image_shape,
        "warnings": scenario.warnings(),
    }
    if json_:
        typer.echo(json.dumps({"checked": {f"data '{scenario.name}'": facts}, "findings": []}, indent=2))
        return
    latents = "unknown latents" if data.n_latents is None else f"{data.n_latents} latents"
    parts = "{} train, {} validation, {} test".format(*(len(split.x) for split in data.splits))
    tell([f"{file}: {facts['rows']} rows ({parts}), x of {data.n_observed} dimensions, {latents}"])
    tell([f"{file}: {data.conditions} {'condition' if data.conditions == 1 else 'conditions'}"])
    tell([f"{file}: note: {line}" for line in scenario.warnings()])
    tell([f"{file}: no findings"])


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="method, scenario or metric.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: lower-case letters, digits and '-'.")],
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="The file; default: ./NAME.py.")] = None,
    torch: Annotated[bool, typer.Option("--torch", help="Of a method: one that trains with torch.")] = False,
    debug: Debug = False,
) -> None:
    """Write a commented template of a method, a scenario or a metric, which runs as it is.

    Example: nica-bench new method --torch my-flow
    """
    from nica_bench.metrics import METRICS
    from nica_bench.registry import installed_metrics, method_types, scenario_types

    if kind not in _KINDS:
        raise UsageError(f"new takes method, scenario or metric, got '{kind}'; {did_you_mean(kind, _KINDS)}")
    if torch and kind != "method":
        raise UsageError(f"--torch belongs to a method, got '{kind}'")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or re.search(r"-\d+of\d+$", name):
        raise UsageError(f"expected a name of lower-case letters, digits and '-', without '-<n>of<D>', got '{name}'")
    stem = name.replace("-", "_")
    path = save or Path(f"{stem}_{kind}.py" if keyword.iskeyword(stem) else f"{stem}.py")
    if path.suffix != ".py":
        raise UsageError(f"--save {path}: the name of a Python file ends in .py")
    taken = {"method": method_types(), "scenario": scenario_types(), "metric": {**METRICS, **installed_metrics()}}
    if name in taken[kind] or (kind == "metric" and stem in taken[kind]):
        raise UsageError(f"a {kind} '{name}' exists: choose another name")
    words = name.split("-")
    template = "torch_method" if torch else kind
    text = resources.files("nica_bench.checking").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
    values = {
        "name": stem if kind == "metric" else name,
        "class_name": "".join(w[0].upper() + w[1:] for w in words),
        "title": " ".join(words).capitalize(),
    }
    if keyword.iskeyword(values["class_name"]):
        values["class_name"] += kind.capitalize()
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(Template(text).substitute(values))
    except FileExistsError:
        raise UsageError(f"{path} exists: choose another file with --save") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    place = path if path.is_absolute() else f"./{path}"
    run = {
        "method": f"-s gauss-2of4 -m {place}",
        "scenario": f"-s {place}:2of4 -m pca",
        "metric": f"-s gauss-2of4 -m pca --metric {place}",
    }[kind]
    tell([f"{path}: next, `nica-bench check {path}` and `nica-bench run {run} --seeds 0:3`"])
