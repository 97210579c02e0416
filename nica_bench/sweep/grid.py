"""The runs of a sweep: what a file says and the flags, which win, made into scenarios, methods and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.method import Method
from nica_bench.parameters import parameters_of, parse_name
from nica_bench.registry import make_method, make_scenario, method_file, method_text, method_types, scenario_text
from nica_bench.running.plan import check_names, fitting, parse_seeds
from nica_bench.scenario import Scenario
from nica_bench.sweep.file import Grid, SweepFile
from nica_bench.sweep.resources import Resources

__all__ = ["MANY_CELLS", "Flags", "Made", "make_grid"]

T = TypeVar("T", Scenario, Method)

MANY_CELLS = 100_000
"""More runs than this are asked about."""


@dataclass(frozen=True)
class Flags:
    """What was given on the command line, which goes before the file; empty or None: nothing.

    Args:
        scenarios, methods: in place of the file's.
        given: texts of scenario parameters by name.
        parameters: of methods, by method name and parameter, as `make_method` takes them.
        seeds, inits: in place of the file's.
    """

    scenarios: Sequence[str]
    methods: Sequence[str]
    given: Mapping[str, str]
    parameters: Mapping[str, Mapping[str, str]]
    seeds: str | None
    training_seeds: int | None


@dataclass(frozen=True)
class Made:
    """The grid, made.

    Args:
        scenarios, methods: each once.
        texts: what a job on another machine makes a scenario or method from again.
        resources: of the jobs of a method.
        seeds, inits: of each scenario; where they are None, its own default holds.
        size: number of runs, with those whose method makes no sense on their scenario.
    """

    scenarios: list[Scenario]
    methods: list[Method]
    texts: dict[Scenario | Method, str]
    resources: dict[Method, Resources]
    seeds: list[int] | None
    training_seeds: int | None
    size: int


def make_grid(file: SweepFile, flags: Flags, resources: Callable[[Resources], Resources], yes: bool) -> Made:
    """Make the scenarios and methods of a sweep.

    Args:
        file: what the file says.
        flags: what the command line says.
        resources: puts the flags of Slurm into the resources of a file.
        yes: make more than `MANY_CELLS` without a question.

    Raises:
        UsageError: for wrong names and values, with the line of the file; an empty grid; or too many runs.
    """
    scenarios = [Grid(text) for text in flags.scenarios] or list(file.scenarios)
    methods = [Grid(text, resources=file.resources) for text in flags.methods] or list(file.methods)
    if not scenarios:
        raise UsageError("a sweep needs a scenario: [[scenario]] in its file, or --scenario (-s)")
    shared = {name: values for name, values in file.shared.items() if name not in flags.given}
    scenarios = [_with(grid.without(flags.given), shared, file) for grid in scenarios]
    extra = {owner: dict(values) for owner, values in file.parameters.items()}
    for owner, values in flags.parameters.items():
        extra.setdefault(owner, {}).update(values)
    for grid in scenarios:
        _check_given(grid, flags.given)
    chosen = bool(methods)
    if not chosen:
        methods = [Grid(name, resources=file.resources) for name, m in method_types().items() if m.default]
    methods = [grid.without(flags.parameters.get(_owner(grid), {})) for grid in methods]
    text = flags.seeds or file.seeds
    seeds = None if text is None else parse_seeds(text)
    _check_parameters(methods, file, flags)
    training_seeds = flags.training_seeds or file.training_seeds
    size = sum(g.size for g in methods) * sum(_size(g, seeds, training_seeds) for g in scenarios)
    if size > MANY_CELLS and not yes:
        raise UsageError(f"the grid has {size:,} runs: is that what you want? Then say --yes")
    made: dict[Scenario, str] = {}
    for grid in scenarios:
        for text, scenario in _points(grid, lambda text: _scenario(text, flags.given)):
            made.setdefault(scenario, scenario_text(text, scenario))
    texts: dict[Method, str] = {}
    given: dict[Method, Resources] = {}
    for grid in methods:
        for text, method in _points(grid, lambda text: make_method(text, extra)):
            texts.setdefault(method, method_text(text, method))
            given.setdefault(method, resources(grid.resources or file.resources))
    check_names(texts, ())
    kept = list(texts) if chosen else fitting(texts, list(made))
    every: list[tuple[Scenario | Method, str]] = [*made.items(), *texts.items()]
    return Made(list(made), kept, dict(every), given, seeds, training_seeds, size)


def _size(grid: Grid, seeds: list[int] | None, training_seeds: int | None) -> int:
    """Number of runs that a method has on a grid of scenarios."""
    if seeds is not None and training_seeds is not None:
        return grid.size * len(seeds) * training_seeds
    try:
        scenario = make_scenario(parse_name(grid.text)[0])
    except UsageError as error:
        raise grid.error("name", str(error)) from error
    number = len(parse_seeds(scenario.default_seeds)) if seeds is None else len(seeds)
    return grid.size * number * (scenario.default_training_seeds if training_seeds is None else training_seeds)


def _check_given(grid: Grid, given: Mapping[str, str]) -> None:
    """Refuse flags of scenarios before they are taken for a fault of the file. Raises UsageError."""
    name = parse_name(grid.text)[0]
    try:
        make_scenario(name)
    except UsageError as error:
        raise grid.error("name", str(error)) from error
    _scenario(name, given)


def _check_parameters(methods: Sequence[Grid], file: SweepFile, flags: Flags) -> None:
    """Refuse parameters from -p and from the file's `parameter`, each where it was given. Raises UsageError."""
    names: dict[str, str] = {}
    for grid in methods:
        names.setdefault(_owner(grid), parse_name(grid.text)[0])
    for source, from_file in ((flags.parameters, False), (file.parameters, True)):
        for owner, values in source.items():
            for key, value in values.items():
                try:
                    if owner not in names:
                        raise UsageError(
                            f"{owner}.{key}: '{owner}' is not among the methods; {did_you_mean(owner, names)}"
                        )
                    make_method(f"{names[owner]}[{key}={value}]")
                except UsageError as error:
                    raise (file.error("parameter", str(error), f"{owner}.{key}") if from_file else error) from error


def _scenario(text: str, given: Mapping[str, str]) -> Scenario:
    known = parameters_of(type(make_scenario(text)))
    for name in given:
        if name not in known:
            raise UsageError(f"{parse_name(text)[0]} has no parameter '{name}'; {did_you_mean(name, known)}")
    return make_scenario(text, given)


def _with(grid: Grid, shared: Mapping[str, tuple[str, ...]], file: SweepFile) -> Grid:
    """A grid with the values that all scenarios have, where it has none of its own."""
    added = {name: values for name, values in shared.items() if name not in grid.parameters}

    def error(name: str | None, message: str) -> UsageError:
        return file.error(name, message, None) if name in added else grid.error(name, message)

    return Grid(grid.text, {**added, **grid.parameters}, error, grid.resources)


def _owner(grid: Grid) -> str:
    """The name that -p calls a method by."""
    name = parse_name(grid.text)[0]
    if method_file(name) is None:
        return name
    try:
        return make_method(name).name
    except UsageError as error:
        raise grid.error("name", str(error)) from error


def _points(grid: Grid, make: Callable[[str], T]) -> list[tuple[str, T]]:
    """What the points of a grid stand for; an error says in which line the wrong value is."""
    found = []
    for text in grid.texts():
        try:
            found.append((text, make(text)))
        except UsageError as error:
            raise grid.error(_culprit(grid, make), str(error)) from error
    return found


def _culprit(grid: Grid, make: Callable[[str], T]) -> str | None:
    """The parameter of a grid whose value is refused by itself; None where it is the name, or several together."""
    name = parse_name(grid.text)[0]
    try:
        make(name)
    except UsageError:
        return "name"
    for key, values in grid.parameters.items():
        for value in values:
            try:
                make(f"{name}[{key}={value}]")
            except UsageError:
                return key
    return None
