"""The grid of a run: scenarios x methods x data seeds x training seeds, resolved from options, a file and defaults.

The command line, a file and the Python API each say what they ask for as a `Request`; `resolve` alone decides what
follows from it: which values take precedence, the default methods and seeds, whether names and parameters exist, and
how large a grid may be.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.method import Method
from nica_bench.registry import (
    make_method,
    make_scenario,
    method_file,
    method_text,
    method_types,
    scenario_file,
    scenario_text,
)
from nica_bench.running.axis import Axis
from nica_bench.running.plan import Run, make_runs, parse_seeds, unfit
from nica_bench.scenario import Scenario

__all__ = ["MANY_RUNS", "Grid", "Request", "dotted_parameters", "resolve"]

MANY_RUNS = 100_000
"""A grid of more runs is refused unless it is confirmed."""


@dataclass(frozen=True)
class Request:
    """The scenarios, methods and seeds that are requested; `resolve` adds the defaults.

    Args:
        scenarios, methods: texts as on the command line, axes of a file, or objects.
        scenario_parameters: texts of parameters that hold for all scenarios, by name; several values span a grid.
        method_parameters: texts of parameters by the method's name and the parameter's.
        seeds: the data seeds; None: the default of each scenario.
        training_seeds: the number of trainings per dataset; None: the default of each scenario.
        error: the function that returns the error of a key of the request, from the key, a message and part of its
            value.
    """

    scenarios: Sequence[str | Scenario | Axis] = ()
    methods: Sequence[str | Method | Axis] = ()
    scenario_parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    method_parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seeds: Sequence[int] | None = None
    training_seeds: int | None = None
    error: Callable[[str, str, str | None], UsageError] = lambda key, message, text: UsageError(message)


@dataclass(frozen=True)
class Grid:
    """The scenarios, methods and seeds of a command.

    Args:
        scenarios, methods: the scenarios and methods, each once.
        seeds: the data seeds; None: the default of each scenario.
        training_seeds: the number of trainings per dataset; None: the default of each scenario.
        texts: the texts from which any process makes a scenario or method, in any folder.
        axes: the axis of each method.
    """

    scenarios: tuple[Scenario, ...]
    methods: tuple[Method, ...]
    seeds: tuple[int, ...] | None = None
    training_seeds: int | None = None
    texts: Mapping[Scenario | Method, str] = field(default_factory=dict)
    axes: Mapping[Method, Axis] = field(default_factory=dict)

    def seeds_of(self, scenario: Scenario) -> tuple[Sequence[int], int]:
        """Return the data seeds of a scenario, and the number of trainings per dataset."""
        seeds = parse_seeds(scenario.default_seeds) if self.seeds is None else self.seeds
        return seeds, scenario.default_training_seeds if self.training_seeds is None else self.training_seeds

    @property
    def size(self) -> int:
        """The number of runs, including those whose method cannot run on their scenario."""
        return len(self.methods) * sum(
            len(seeds) * trainings for seeds, trainings in map(self.seeds_of, self.scenarios)
        )

    def runs(self) -> list[Run]:
        """Return all runs, scenario by scenario and method by method."""
        return [run for s in self.scenarios for run in make_runs([s], self.methods, *self.seeds_of(s))]

    @property
    def modules(self) -> tuple[str, ...]:
        """The files of methods and scenarios of the grid, which workers load."""
        files: list[Path | None] = [method_file(self.texts[m]) for m in self.methods if m in self.texts]
        files += [scenario_file(self.texts[s]) for s in self.scenarios if s in self.texts]
        return tuple(dict.fromkeys(str(path) for path in files if path is not None))


def resolve(options: Request, file: Request | None = None, limit: int | None = MANY_RUNS) -> Grid:
    """Return the grid of a request.

    Options take precedence over the file: scenarios, methods and seeds replace those of the file, and parameters
    replace the values that the file gives, in brackets or not. The parameters in the brackets of a scenario or method
    of the options take precedence over other parameters. Without methods, the grid has those default methods that can
    run on at least one of its scenarios.

    Args:
        options: the request of the command line or of a program.
        file: the request of a file; None without a file.
        limit: the largest number of runs; None: no limit.

    Raises:
        UsageError: for a wrong name, parameter, value or seed (with the line of the file where it came from there), for
            a grid without scenarios, and for one of more runs than the limit.
    """
    file = file or Request()
    own, of_file = _seeds(options), _seeds(file)
    trainings = file.training_seeds if options.training_seeds is None else options.training_seeds
    asked = Grid((), (), of_file if own is None else own, trainings)
    scenarios = _scenario_axes(options, file)
    methods = _method_axes(options, file)
    size = sum(axis.size * math.prod(_counts(asked, axis)) for axis in scenarios) * sum(axis.size for axis in methods)
    if limit is not None and size > limit:
        raise UsageError(
            f"the grid has {size:,} runs, and more than {limit:,} are only run if that is confirmed: --yes on the "
            "command line"
        )

    texts: dict[Scenario | Method, str] = {}
    made: dict[Scenario, None] = {}
    for axis in scenarios:
        for text, scenario in axis.points(make_scenario):
            made.setdefault(scenario)
            texts.setdefault(scenario, scenario_text(text, scenario))
    owners: dict[Method, Axis] = {}
    for axis in methods:
        for text, method in axis.points(make_method):
            owners.setdefault(method, axis)
            texts.setdefault(method, method_text(text, method))
    _check_names(owners)
    if not (options.methods or file.methods):
        owners = {m: axis for m, axis in owners.items() if any(unfit(m, s) is None for s in made)}
    return replace(asked, scenarios=tuple(made), methods=tuple(owners), texts=texts, axes=owners)


def _scenario_axes(options: Request, file: Request) -> list[Axis]:
    """Return the axes of the scenarios, with the values that all of them share."""
    axes = [Axis.of(given) for given in options.scenarios]
    axes = axes or [Axis.of(given).without(options.scenario_parameters) for given in file.scenarios]
    if not axes:
        raise UsageError("no scenario is named: give one with --scenario (-s), or as [[scenario]] in a file")
    shared = {**file.scenario_parameters, **options.scenario_parameters}

    def error(name: str, message: str) -> UsageError:
        return (options if name in options.scenario_parameters else file).error(name, message, None)

    return [axis if axis.thing is not None else axis.completed(shared, error) for axis in axes]


def _method_axes(options: Request, file: Request) -> list[Axis]:
    """Return the axes of the methods, or of all default methods, with the parameters given by the name of a method."""
    axes = [Axis.of(given) for given in options.methods]
    from_file = not axes
    axes = axes or [Axis.of(given) for given in file.methods]
    axes = axes or [Axis(name) for name, method in method_types().items() if method.default]
    owners = [axis.first(make_method).name for axis in axes]
    for request in (options, file):
        for owner, values in request.method_parameters.items():
            if owner not in owners:
                first = f"{owner}.{next(iter(values), '')}"
                message = f"{first}: '{owner}' is not among the methods; {did_you_mean(owner, owners)}"
                raise request.error("parameter", message, first)
    completed = []
    for owner, axis in zip(owners, axes, strict=True):
        chosen = options.method_parameters.get(owner, {})
        values = {**file.method_parameters.get(owner, {}), **chosen}

        def error(name: str, message: str, owner: str = owner, chosen: Mapping[str, str] = chosen) -> UsageError:
            return (options if name in chosen else file).error("parameter", message, f"{owner}.{name}")

        axis = axis.without(chosen) if from_file else axis
        shared = {name: (text,) for name, text in values.items()}
        completed.append(axis if axis.thing is not None else axis.completed(shared, error))
    return completed


def _counts(asked: Grid, axis: Axis) -> tuple[int, int]:
    """Return the number of data seeds of the scenarios of an axis, and the number of trainings per dataset."""
    seeds, trainings = asked.seeds_of(axis.first(make_scenario))
    return len(seeds), trainings


def _seeds(request: Request) -> tuple[int, ...] | None:
    """Return the data seeds of a request after checks of data seeds and training seeds."""
    if request.training_seeds is not None and request.training_seeds < 1:
        raise request.error("training-seeds", f"expected at least 1 training seed, got {request.training_seeds}", None)
    if request.seeds is None:
        return None
    try:
        seeds = tuple(map(operator.index, request.seeds))
    except TypeError as error:
        raise request.error("seeds", f"seeds are whole numbers: {error}", None) from error
    if not seeds or min(seeds) < 0:
        came = min(seeds) if seeds else "none"
        raise request.error("seeds", f"seeds are whole numbers >= 0, one or more, got {came}", None)
    return seeds


def _check_names(methods: Iterable[Method]) -> None:
    """Check that no two different methods have the same name. Raises UsageError."""
    owners: dict[str, type[Method]] = {}
    for method in methods:
        if owners.setdefault(method.name, type(method)) is not type(method):
            raise UsageError(f"two methods are called '{method.name}': give the one in the file another name")


def dotted_parameters(
    texts: Sequence[str], error: Callable[[str, str], UsageError] = lambda message, text: UsageError(f"-p: {message}")
) -> dict[str, dict[str, str]]:
    """Return parameters by the names of method and parameter, from texts such as `gin.lr=0.001`.

    Args:
        texts: texts of the form `method.parameter=value`.
        error: the function that returns the error of a text from a message and the text.

    Raises:
        UsageError: if one is written differently, or a parameter is given twice.
    """
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        owner, dot, key = name.partition(".")
        if not (equals and dot):
            raise error(f"expected method.parameter=value, got '{text}'", text)
        if key in found.setdefault(owner, {}):
            raise error(f"{owner}.{key} is given twice", text)
        found[owner][key] = value
    return found
