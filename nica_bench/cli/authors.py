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

_KINDS = ("method", "scenario")


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.py", help="A file that defines a method or a scenario.")],
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Check that the methods and scenarios of a file satisfy their contract.

    Every finding is printed with its line. The exit code is 0 without findings, 3 with findings, and 2 if the file
    cannot be imported.

    Example: nica-bench check ./mine.py
    """
    from nica_bench.checking import check_file

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


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="method or scenario.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: lower-case letters, digits and '-'.")],
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="The file; default: ./NAME.py.")] = None,
    debug: Debug = False,
) -> None:
    """Write a commented template of a method or a scenario, which runs as it is.

    Example: nica-bench new method my-ica
    """
    from nica_bench.registry import method_types, scenario_types

    if kind not in _KINDS:
        raise UsageError(f"new takes method or scenario, got '{kind}'; {did_you_mean(kind, _KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or re.search(r"-\d+of\d+$", name):
        raise UsageError(f"expected a name of lower-case letters, digits and '-', without '-<n>of<D>', got '{name}'")
    stem = name.replace("-", "_")
    path = save or Path(f"{stem}_{kind}.py" if keyword.iskeyword(stem) else f"{stem}.py")
    if path.suffix != ".py":
        raise UsageError(f"--save {path}: the name of a Python file ends in .py")
    if name in (method_types() if kind == "method" else scenario_types()):
        raise UsageError(f"a {kind} '{name}' exists: choose another name")
    words = name.split("-")
    text = resources.files("nica_bench.checking").joinpath("templates", f"{kind}.txt").read_text(encoding="utf-8")
    values = {
        "name": name,
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
    run = f"-s gauss-2of4 -m {place}" if kind == "method" else f"-s {place}:2of4 -m pca"
    tell([f"{path}: next, `nica-bench check {path}` and `nica-bench run {run} --seeds 0:3`"])
