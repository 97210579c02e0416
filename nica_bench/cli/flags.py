"""Flags for the parameters of scenarios, made from the scenarios that are installed."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from nica_bench.errors import UsageError
from nica_bench.parameters import Parameter, Range, parameters_of
from nica_bench.registry import make_scenario, scenario_types
from nica_bench.scenario import Scenario

__all__ = ["flag_of", "scenario_with", "with_scenario_flags"]

_PANEL = "Scenario parameters"
_METAVARS = {int: "INTEGER", float: "NUMBER", bool: "BOOLEAN", str: "NAME", Range: "LOW:HIGH"}


def with_scenario_flags(command: Callable[..., None]) -> Callable[..., None]:
    """A command that has a flag for each parameter of the installed scenarios.

    Its keyword `given` gets the texts of those flags that were used, by parameter name. A parameter whose flag would
    be one of the command's own is written in brackets only.

    Args:
        command: a function as typer takes it, with the keyword `given: dict[str, str]` beside its options.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "given"]
    taken = {text for p in own for text in _options_of(p)}
    flags = {name: specs for name, specs in _by_name().items() if not {name, flag_of(name)} & taken}

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        texts = {name: values.pop(name) for name in flags}
        command(**values, given={name: text for name, text in texts.items() if text is not None})

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, specs))
        for name, specs in flags.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
    # typer reads both; `__wrapped__` would lead it back to the command without flags
    wrapper.__signature__ = inspect.Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapper.__wrapped__
    return wrapper


def scenario_with(text: str, given: Mapping[str, str]) -> Scenario:
    """A scenario from its text and the flags; brackets win.

    Args:
        text: the scenario as given on the command line.
        given: texts of flags by parameter name.

    Raises:
        UsageError: for a wrong name or value, or a flag that the scenario does not have; those it has are named.
    """
    plain = make_scenario(text)
    known = parameters_of(type(plain))
    for name in given:
        if name not in known:
            flags = ", ".join(map(flag_of, known)) or "none"
            raise UsageError(f"scenario {plain.name} has no {flag_of(name)}; it has {flags}")
    return make_scenario(text, given)


def flag_of(name: str) -> str:
    """The flag of a parameter: `--held-out`."""
    return "--" + name.replace("_", "-")


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
        # the default is shown as typer shows that of any other option
        text = f"{spec.help} ({spec.expected()}) [default: {str(spec.default).lower()}]"
        families.setdefault(text, []).append(family)
    for_all = len(specs) == len(scenario_types()) and len(families) == 1
    lines = [text if for_all else f"{', '.join(owners)}: {text}" for text, owners in families.items()]
    return Annotated[
        str | None,
        typer.Option(
            flag_of(name),
            metavar=_METAVARS[next(iter(specs.values())).type],
            help="; ".join(lines).replace("[", r"\["),
            rich_help_panel=_PANEL,
        ),
    ]


def _options_of(parameter: inspect.Parameter) -> list[str]:
    """The name and the flags of one of a command's own options."""
    metadata = getattr(parameter.annotation, "__metadata__", ()) if typing.get_origin(parameter.annotation) else ()
    declared = [text for item in metadata for text in getattr(item, "param_decls", None) or ()]
    return [parameter.name, *(declared or [flag_of(parameter.name)])]
