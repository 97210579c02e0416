"""Options that several commands share: one for each parameter of the installed scenarios, and groups of others.

A command takes a group as one argument whose type is a dataclass; `with_options` makes an option of each of its fields.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nica_bench.parameters import Parameter, Range, parameters_of
from nica_bench.registry import chosen_metrics, scenario_types
from nica_bench.running.grid import Request, dotted_parameters
from nica_bench.running.gridfile import Settings
from nica_bench.running.plan import parse_seeds
from nica_bench.training.device import check_device_name

__all__ = ["OLD_NAMES", "DryRun", "GridOptions", "RunningOptions", "Yes", "flag_of", "with_options"]

_METAVARS = {int: "INTEGER", float: "NUMBER", bool: "BOOLEAN", str: "NAME", Range: "LOW:HIGH"}

OLD_NAMES = {"token_normalize_func": lambda name: "training-seeds" if name == "inits" else name}
"""Context settings of typer by which an option is understood under its old name too."""


def option(help: str, metavar: str | None = None, *names: str, panel: str | None = None, **more: Any) -> Any:
    """An option of typer, whose help may have brackets in it."""
    return typer.Option(*names, metavar=metavar, help=help.replace("[", r"\["), rich_help_panel=panel, **more)


running = functools.partial(option, panel="Running")
JOBS = "Use this many worker processes on this machine. [default: one per core]"

DryRun = Annotated[bool, running("Print what would be run and compute nothing.", None, "--dry-run")]
Yes = Annotated[bool, running("Confirm a grid of more than 100,000 runs.", None, "--yes")]
Texts = list[str] | None

_SCENARIO = "Run on this scenario, such as gauss-2of10 or gauss-2of10[noise=0]; may be repeated."
_METHOD = (
    "Run this method, such as gin, gin[lr=0.001] or ./file.py; may be repeated. "
    "[default: all methods that can run on the scenarios]"
)
_PARAMETER = "Set a method's parameter, such as gin.lr=0.001; may be repeated."
_SEEDS = "Generate the datasets with these seeds, such as 3 or 0:5,8. [default: 0:10, and 0 for images]"
_TRAININGS = "Train each method this many times per dataset. [default: 1, and 2 for digits]"
_RETRY = "Compute runs of this status again: failed, or a list such as timeout,oom."
_METRIC = "Compute the metrics of this file too, such as ./metric.py; cached runs do not get them."


@dataclass(frozen=True)
class GridOptions:
    """What is run; each takes precedence over a file."""

    scenario: Annotated[Texts, option(_SCENARIO, "NAME", "--scenario", "-s")] = None
    method: Annotated[Texts, option(_METHOD, "NAME", "--method", "-m")] = None
    parameter: Annotated[Texts, option(_PARAMETER, "TEXT", "--parameter", "-p")] = None
    seeds: Annotated[str | None, option(_SEEDS, "LIST")] = None
    training_seeds: Annotated[int | None, option(_TRAININGS, "INTEGER", min=1)] = None

    def request(self, given: Mapping[str, str]) -> Request:
        """What the options ask for.

        Args:
            given: texts of the parameters of scenarios, by name.

        Raises:
            UsageError: for a text that is not written as it should be.
        """
        return Request(
            scenarios=self.scenario or (),
            methods=self.method or (),
            scenario_parameters={name: (text,) for name, text in given.items()},
            method_parameters=dotted_parameters(self.parameter or ()),
            seeds=None if self.seeds is None else parse_seeds(self.seeds),
            training_seeds=self.training_seeds,
        )


@dataclass(frozen=True)
class RunningOptions:
    """How the runs are computed; each takes precedence over a file."""

    out_folder: Annotated[
        Path | None, option("Write the records into this folder. [default: results]", "FOLDER", "--out")
    ] = None
    jobs: Annotated[int | None, running(JOBS, "INTEGER", min=1)] = None
    device: Annotated[str | None, running("Train on auto, cpu, cuda or mps. [default: auto]", "NAME")] = None
    timeout: Annotated[float | None, running("Stop a run after this time.", "SECONDS", min=0.001)] = None
    retry: Annotated[str | None, running(_RETRY, "STATUS")] = None
    force: Annotated[bool, running("Compute all runs again.", None, "--force")] = False
    compile: Annotated[bool, running("Train with torch.compile.", None, "--compile")] = False
    metric: Annotated[list[str] | None, running(_METRIC, "FILE", "--metric", "-M")] = None

    def settings(self) -> Settings:
        """What the options say. Raises UsageError for a device that does not exist."""
        if self.device is not None:
            check_device_name(self.device)
        chosen_metrics(self.metric or ())  # a file that cannot be used is refused before anything is computed
        return Settings(
            self.out_folder,
            self.device,
            self.jobs,
            self.timeout,
            self.retry,
            self.force or None,
            self.compile or None,
            tuple(str(Path(path).absolute()) for path in self.metric or ()) or None,
        )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose groups of options are spread out, with an option for each parameter of the installed scenarios.

    Its keyword `given` gets the texts of those parameters that were given, by name. A parameter whose option would be
    one of the command's own is written in brackets only.

    Args:
        command: a function as typer takes it. An argument whose type is a dataclass stands for the dataclass' fields;
            `given: dict[str, str]` stands for the parameters of scenarios.
    """
    own: list[inspect.Parameter] = []
    groups: dict[str, tuple[Any, list[str]]] = {}
    for p in inspect.signature(command, eval_str=True).parameters.values():
        if dataclasses.is_dataclass(p.annotation):
            fields = _fields(p.annotation)
            groups[p.name] = p.annotation, [f.name for f in fields]
            own += fields
        elif p.name != "given":
            own.append(p.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    taken = {text for p in own for text in _options_of(p)}
    flags = {name: specs for name, specs in _by_name().items() if not {name, flag_of(name)} & taken}

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        texts = {name: values.pop(name) for name in flags}
        made = {name: group(**{key: values.pop(key) for key in keys}) for name, (group, keys) in groups.items()}
        command(**values, **made, given={name: text for name, text in texts.items() if text is not None})

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, specs))
        for name, specs in flags.items()
    ]
    # typer reads both; `__wrapped__` would lead it back to the command without flags
    wrapper.__signature__ = inspect.Signature([*own, *added], return_annotation=None)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *added]}
    del wrapper.__wrapped__
    paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(command.__doc__ or "").split("\n\n")]
    paragraphs.insert(next((i for i, part in enumerate(paragraphs) if part.startswith("Example")), 1), _about_sizes())
    wrapper.__doc__ = "\n\n".join(paragraphs)
    return wrapper


def flag_of(name: str) -> str:
    """The flag of a parameter: `--held-out`."""
    return "--" + name.replace("_", "-")


_SIZED = "<n>of<D>"
"""What stands in the help for all scenarios whose name has the sizes in it."""


def _about_sizes() -> str:
    sized = [family for family, owner in scenario_types().items() if owner.sized]
    return f"Among the scenario parameters, {_SIZED} stands for the families {', '.join(sized)}."


def _fields(group: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass as arguments of a command."""
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in dataclasses.fields(group)
    ]


def _by_name() -> dict[str, dict[str, Parameter]]:
    """The parameters of all scenarios by name and family: those of one name may differ in help, range and default."""
    found: dict[str, dict[str, Parameter]] = {}
    for family, owner in scenario_types().items():
        for name, spec in parameters_of(owner).items():
            found.setdefault(name, {})[family] = spec
    return found


def _annotation(name: str, specs: Mapping[str, Parameter]) -> Any:
    families: dict[str, list[str]] = {}
    for family, spec in specs.items():
        text = f"{spec.help} ({spec.expected()}) [default: {str(spec.default).lower()}]"
        families.setdefault(text, []).append(family)
    for_all = len(specs) == len(scenario_types()) and len(families) == 1
    lines = [text if for_all else f"{_named(owners)}: {text}" for text, owners in families.items()]
    metavar = _METAVARS[next(iter(specs.values())).type]
    return Annotated[str | None, option("; ".join(lines), metavar, flag_of(name), panel="Scenario parameters")]


def _named(families: Iterable[str]) -> str:
    """Families for a help text; those whose name has the sizes in it have one name where all of them are meant."""
    types, chosen = scenario_types(), set(families)
    sized = {family for family, owner in types.items() if owner.sized}
    together = bool(sized) and sized <= chosen
    return ", ".join([_SIZED] * together + [f for f in types if f in chosen and not (together and f in sized)])


def _options_of(parameter: inspect.Parameter) -> list[str]:
    """The name and the flags of one of a command's own options."""
    metadata = getattr(parameter.annotation, "__metadata__", ()) if typing.get_origin(parameter.annotation) else ()
    declared = [text for item in metadata for text in getattr(item, "param_decls", None) or ()]
    return [parameter.name, *(declared or [flag_of(parameter.name)])]
