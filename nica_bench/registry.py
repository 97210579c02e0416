"""Finding methods and scenarios: in their folders, in installed packages, and in files given by path."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from nica_bench.errors import ContractError, UsageError, did_you_mean
from nica_bench.method import Method
from nica_bench.parameters import parse_name, parse_values
from nica_bench.scenario import Scenario

if TYPE_CHECKING:
    from nica_bench.metrics import Metric

__all__ = [
    "added_metric",
    "chosen_metrics",
    "data_file",
    "installed_metrics",
    "load_file",
    "load_method_file",
    "load_metric_file",
    "load_scenario_file",
    "make_method",
    "make_scenario",
    "method_file",
    "method_text",
    "method_types",
    "metrics_of",
    "scenario_file",
    "scenario_text",
    "scenario_types",
    "unfinished",
]

T = TypeVar("T", Method, Scenario)

_SIZED = re.compile(r"(?P<family>.+)-(?P<n>\d+)of(?P<D>\d+)")


def _classes(module: ModuleType, base: type[T]) -> list[type[T]]:
    """The concrete implementations of a contract that a module defines itself."""
    return [
        c
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, base) and c.__module__ == module.__name__ and not inspect.isabstract(c)
    ]


def _installed(package: str, base: type[T]) -> list[type[T]]:
    """Implementations in the package's folder and in the entry points of the same name."""
    folder = importlib.import_module(package)
    found: list[type[T]] = []
    for entry in pkgutil.iter_modules(folder.__path__, package + "."):
        try:
            found += _classes(importlib.import_module(entry.name), base)
        except Exception as error:
            spec = importlib.util.find_spec(entry.name)
            path = Path(spec.origin) if spec is not None and spec.origin else Path(entry.name)
            line = _line_of(error, path)
            raise UsageError(f"{path}{line} does not import: {type(error).__name__}: {error}") from error
    for point in importlib.metadata.entry_points(group=package):
        try:
            loaded = point.load()
        except Exception as error:
            raise UsageError(
                f"entry point {point.name} = {point.value} of {package} does not import: {error}"
            ) from error
        found += _classes(loaded, base) if isinstance(loaded, ModuleType) else [loaded]
    return found


@cache
def method_types() -> Mapping[str, type[Method]]:
    """All installed methods by name."""
    return {
        c.name: c
        for c in sorted(
            _installed("nica_bench.methods", Method), key=lambda c: (c.kind() != "method", c.kind() == "reference")
        )
    }


@cache
def scenario_types() -> Mapping[str, type[Scenario]]:
    """All installed scenarios by family."""
    return {c.family: c for c in _installed("nica_bench.scenarios", Scenario)}


def _module(path: Path, what: str) -> ModuleType:
    """A Python file; the versions of its classes get the hash of the file, so an edit makes new runs."""
    if not path.is_file():
        raise UsageError(f"no {what} file {path}: expected a Python file that holds a subclass of {what.capitalize()}")
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()[:12]
    name = f"nica_bench_file_{path.stem}_{digest}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path} is not a Python file: its name does not end in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if isinstance(error, KeyboardInterrupt):
                raise
            line = _line_of(error, path)
            named = f"{what} file {path}".strip()
            raise UsageError(f"{named}{line} does not import: {type(error).__name__}: {error}") from error
        own: list[type[Method] | type[Scenario]] = [*_classes(module, Method), *_classes(module, Scenario)]
        for c in own:
            if isinstance(c.version, str):  # anything else is refused where a run is made of it
                c.version = f"{c.version}+{digest}"
    return sys.modules[name]


def _from_file(path: Path, base: type[T], what: str) -> list[type[T]]:
    """Implementations in a Python file."""
    module = _module(path, what)
    found = _classes(module, base)
    for c in found:
        _check_class(c, f"{what} file {path}")
    if not found:
        more = "".join(f"; {c.__name__} lacks abstract methods" for c in unfinished(module) if issubclass(c, base))
        raise UsageError(f"{what} file {path} defines no {what}: expected a subclass of {base.__name__}{more}")
    return found


def unfinished(module: ModuleType) -> list[type[Method] | type[Scenario]]:
    """Classes of a module that leave something of their contract out; a base without a name is meant to."""
    found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, (Method, Scenario))]
    own = [c for c in found if c.__module__ == module.__name__]
    return [c for c in own if inspect.isabstract(c) and (len(own) == 1 or {"name", "family"} & vars(c).keys())]


def load_file(path: Path) -> tuple[ModuleType, list[type[Method]], list[type[Scenario]]]:
    """A Python file, and the methods and scenarios that it defines.

    Raises:
        UsageError: if it is none, or does not import.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}: expected a Python file that holds a subclass of Method or Scenario")
    module = _module(path.resolve(), "")
    return module, _classes(module, Method), _classes(module, Scenario)


def _check_class(owner: type, where: str) -> None:
    """Refuse a class that would run with parameters other than it says."""
    name = getattr(owner, "family" if issubclass(owner, Scenario) else "name", None)
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z][\w.-]*", name)):
        raise UsageError(f"{where}: {owner.__name__} needs a name of letters, digits and '-_.', got {name!r}")
    undone = [k for k, v in vars(owner).items() if isinstance(v, dataclasses.Field)]
    if undone:
        raise UsageError(
            f"{where}: {owner.__name__} has parameters ({', '.join(undone)}) but is no dataclass: "
            "put @dataclass(frozen=True) before it"
        )


def load_method_file(path: Path) -> list[type[Method]]:
    """The methods in a Python file.

    Raises:
        UsageError: if it does not import or holds none.
    """
    return _from_file(path.resolve(), Method, "method")


def load_scenario_file(path: Path) -> list[type[Scenario]]:
    """The scenarios in a Python file.

    Raises:
        UsageError: if it does not import or holds none.
    """
    return _from_file(path.resolve(), Scenario, "scenario")


def load_metric_file(path: Path) -> list[Metric]:
    """The metrics in a Python file: its instances of `Metric` that have `compute`.

    Raises:
        UsageError: if it does not import, holds none, or one that is not declared as it must be.
    """
    found = metrics_of(_module(path.resolve(), "metric"), f"metric file {path}")
    if not found:
        raise UsageError(f"metric file {path} defines no metric: expected an instance of Metric with compute")
    return found


def metrics_of(module: ModuleType, where: str) -> list[Metric]:
    """The metrics that a module holds. Raises UsageError for one that is not declared as it must be."""
    from nica_bench.metrics import Metric, check_metric_declaration

    found = [value for value in vars(module).values() if isinstance(value, Metric) and value.compute is not None]
    for metric in found:
        check_metric_declaration(metric, where)
    return found


@cache
def installed_metrics() -> Mapping[str, Metric]:
    """The metrics that installed packages add, by name: entry points `nica_bench.metrics`, a metric or a module."""
    from nica_bench.metrics import check_metric_declaration

    found: list[Metric] = []
    for point in importlib.metadata.entry_points(group="nica_bench.metrics"):
        where = f"entry point {point.name} = {point.value} of nica_bench.metrics"
        try:
            loaded = point.load()
        except Exception as error:
            raise UsageError(f"{where} does not import: {error}") from error
        if isinstance(loaded, ModuleType):
            found += metrics_of(loaded, where)
        else:
            check_metric_declaration(loaded, where)
            found.append(loaded)
    return {metric.name: metric for metric in found}


def added_metric(name: str) -> Metric | None:
    """The metric that a package adds under a name, or that of a file `./metric.py`; None for any other name.

    Raises:
        UsageError: as `load_metric_file`, or if the file defines several.
    """
    if not name.endswith(".py"):
        return installed_metrics().get(name)
    found = load_metric_file(Path(name))
    if len(found) > 1:
        raise UsageError(f"metric file {name} defines {len(found)} metrics: name one of them instead")
    return found[0]


def chosen_metrics(given: Iterable[str | Metric]) -> list[Metric]:
    """The metrics that a run computes beside those of nica-bench: the installed ones, and those that it names.

    Args:
        given: metrics, or paths of files that define some.

    Raises:
        UsageError: as `load_metric_file`, or if two metrics have one name.
    """
    from nica_bench.metrics import check_metric_declaration

    found = dict(installed_metrics())
    for each in given:
        if not isinstance(each, str):
            check_metric_declaration(each, "a metric")
        for metric in load_metric_file(Path(each)) if isinstance(each, str) else [each]:
            if found.setdefault(metric.name, metric) is not metric:
                raise UsageError(f"two metrics are called '{metric.name}': give one of them another name")
    return list(found.values())


def _line_of(error: BaseException, path: Path) -> str:
    """`, line N` of the last frame of an error that lies in the file."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno}"
    lines = []
    traceback = error.__traceback__
    while traceback is not None:
        if Path(traceback.tb_frame.f_code.co_filename) == path:
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return f", line {lines[-1]}" if lines else ""


def method_file(text: str) -> Path | None:
    """The file that `./file.py[...]` names, or None where the text names an installed method."""
    name, _ = parse_name(text)
    return Path(name).resolve() if name.endswith(".py") or "/" in name or "\\" in name else None


def scenario_file(text: str) -> Path | None:
    """The file that `./file.py:<n>of<D>[...]` names, or None where the text names an installed scenario."""
    name, _ = parse_name(text)
    stem, dot, sizes = name.rpartition(".py")
    return Path(stem + dot).resolve() if dot and sizes[:1] in ("", ":") else None


def method_text(text: str, method: Method) -> str:
    """What makes a method again in any folder: its label, or where `text` names a file, the whole path of that."""
    path = method_file(text)
    return method.label if path is None else f"{path}{method.label.removeprefix(method.name)}"


def data_file(text: str) -> tuple[Path, type[Scenario]] | None:
    """The data file that `./data.npz[...]` names and the scenario that reads it, or None where it names none."""
    name, _ = parse_name(text)
    for owner in scenario_types().values():
        if Path(name).suffix in owner.suffixes:
            return Path(name).absolute(), owner
    return None


def scenario_text(text: str, scenario: Scenario) -> str:
    """What makes a scenario again in any folder: its label, or where `text` names a file, the whole path of that."""
    if (data := data_file(text)) is not None:
        return f"{data[0]}{scenario.label.removeprefix(scenario.name)}"
    path = scenario_file(text)
    if path is None:
        return scenario.label
    sizes = f":{scenario.n_latents}of{scenario.n_observed}" if scenario.sized else ""
    return f"{path}{sizes}{scenario.label.removeprefix(scenario.name)}"


def _build(owner: type, name: str, texts: Mapping[str, str], **given: Any) -> Any:
    values = parse_values(owner, texts, name)
    try:
        return owner(**given, **values)
    except TypeError as error:
        raise ContractError(f"{name}: {owner.__name__} is not a frozen dataclass of parameters: {error}") from error


def make_method(text: str, extra: Mapping[str, Mapping[str, str]] | None = None) -> Method:
    """A method from `name`, `name[parameter=value,...]` or `./file.py[...]`.

    Args:
        text: what was given on the command line.
        extra: parameters by method name, from `-p name.parameter=value`; brackets win.

    Raises:
        UsageError: for an unknown name (the nearest are offered), parameter or value, or a file that does not import.
    """
    name, texts = parse_name(text)
    path = method_file(text)
    if path is not None:
        found = load_method_file(path)
        if len(found) > 1:
            raise UsageError(f"method file {name} defines {len(found)} methods ({_names(found)}): expected one")
        owner = found[0]
    else:
        known = method_types()
        if name not in known:
            raise UsageError(f"unknown method '{name}'; {did_you_mean(name, known)}")
        owner = known[name]
    method = _build(owner, owner.name, {**(extra or {}).get(owner.name, {}), **texts})
    assert isinstance(method, Method)
    return method


def _names(types: Iterable[type]) -> str:
    return ", ".join(t.__name__ for t in types)


def make_scenario(text: str, extra: Mapping[str, str] | None = None) -> Scenario:
    """A scenario from `family-<n>of<D>`, a plain name, a file, `./file.py:<n>of<D>`, or data, `./data.npz`.

    Each may have brackets with parameters.

    Args:
        text: what was given on the command line.
        extra: parameters from flags; brackets win.

    Raises:
        UsageError: for an unknown name (the nearest are offered), impossible sizes, a wrong parameter or value.
    """
    name, texts = parse_name(text)
    values = {**(extra or {}), **texts}
    if (data := data_file(text)) is not None:
        made = _build(data[1], name, values, path=str(data[0]))
        assert isinstance(made, Scenario)
        return made
    known = {family: owner for family, owner in scenario_types().items() if not owner.suffixes}
    grammar = [owner.usage() for owner in scenario_types().values()]
    path = scenario_file(text)
    if path is not None:
        found = load_scenario_file(path)
        if len(found) > 1:
            raise UsageError(f"scenario file {path} defines {len(found)} scenarios ({_names(found)}): expected one")
        sizes_text = name.rpartition(".py")[2].lstrip(":")
        known, grammar = {found[0].family: found[0]}, [found[0].usage()]
        name = f"{found[0].family}-{sizes_text}" if sizes_text else found[0].family
    match = _SIZED.fullmatch(name)
    family = match["family"] if match else name
    if family not in known or known[family].sized != bool(match):
        near = did_you_mean(family, known) if family not in known and match else "known: " + ", ".join(grammar)
        raise UsageError(f"unknown scenario '{name}'; {near}")
    owner = known[family]
    sizes = {}
    if match:
        n, D = int(match["n"]), int(match["D"])
        if not (1 <= n <= D and D >= 2):
            raise UsageError(
                f"scenario '{name}': expected {family}-<n>of<D> with 1 <= n <= D and D >= 2, got n = {n} and D = {D}"
            )
        sizes = {"n_latents": n, "n_observed": D}
    scenario = _build(owner, name, values, **sizes)
    assert isinstance(scenario, Scenario)
    return scenario
