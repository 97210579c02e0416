"""Reading a sweep file: scenarios and methods with grids of parameters, and what `run` and Slurm take as flags.

`nica-bench sweep --init` writes an example with every key explained. Nothing is made of the names yet: that is
`nica_bench.sweep.grid`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.files.lines import Lines
from nica_bench.files.toml import FileTable
from nica_bench.metrics import METRICS
from nica_bench.parameters import parameters_of, parse_name
from nica_bench.registry import scenario_types
from nica_bench.running.plan import parse_seeds, parse_statuses
from nica_bench.sweep.resources import Resources
from nica_bench.training.device import check_device_name

__all__ = ["Grid", "SweepFile", "example", "read_sweep"]

_KEYS = (
    "scenario",
    "method",
    "parameter",
    "seeds",
    "inits",
    "metrics",
    "out",
    "device",
    "jobs",
    "timeout",
    "retry",
    "force",
    "compile",
    "slurm",
)
_AT_THE_TOP = dict.fromkeys(_KEYS, "is a key of the whole sweep: it stands above the first [table]")
_ELSEWHERE = {
    **dict.fromkeys(Resources.keys(), "stands in the table [slurm]"),
    **{key: f"is a flag of the command line: --{key}" for key in ("cluster", "attach", "detach", "yes", "poll")},
}


@dataclass(frozen=True)
class Grid:
    """A scenario or method and the values of its parameters.

    Args:
        text: a name as `run` takes it, brackets allowed.
        parameters: texts by parameter name; what stands in the brackets of `text` wins.
        error: makes the error of a parameter, or of the whole where that is None: with its place in the file.
        resources: what its jobs get.
    """

    text: str
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: Callable[[str | None, str], UsageError] = lambda name, message: UsageError(message)
    resources: Resources | None = None

    @property
    def size(self) -> int:
        """How many points it has."""
        return math.prod(map(len, self._all().values()))

    def texts(self) -> list[str]:
        """Its points, in the order of the file: the last parameter changes fastest."""
        name = parse_name(self.text)[0]
        every = self._all()
        points = (",".join(f"{k}={v}" for k, v in zip(every, p, strict=True)) for p in product(*every.values()))
        return [f"{name}[{point}]" if point else name for point in points]

    def without(self, names: Mapping[str, Any]) -> Grid:
        """The grid less the parameters of these names."""
        name, inside = parse_name(self.text)
        left = ",".join(f"{k}={v}" for k, v in inside.items() if k not in names)
        kept = {k: v for k, v in self.parameters.items() if k not in names}
        return replace(self, text=f"{name}[{left}]" if left else name, parameters=kept)

    def _all(self) -> dict[str, tuple[str, ...]]:
        inside = {key: (value,) for key, value in parse_name(self.text)[1].items()}
        return {**self.parameters, **inside}


@dataclass(frozen=True)
class SweepFile:
    """What a sweep file says; None where it says nothing of that.

    Args:
        scenarios, methods: with their grids; empty where the file names none.
        shared: values of parameters for all scenarios, from keys such as `samples` at the top of the file.
        parameters: of methods, by method and name, as -p gives them.
        seeds, inits, out, device, jobs, timeout, retry, force, compile: as the flags of `run`.
        metrics: to be shown at the end.
        resources: from the table `slurm`.
        error: makes the error of a key at the top, from the key, a message and part of its value, with its line.
    """

    scenarios: tuple[Grid, ...] = ()
    methods: tuple[Grid, ...] = ()
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seeds: str | None = None
    training_seeds: int | None = None
    metrics: tuple[str, ...] = ()
    out: Path | None = None
    device: str | None = None
    jobs: int | None = None
    timeout: float | None = None
    retry: str | None = None
    force: bool | None = None
    compile: bool | None = None
    resources: Resources = Resources()
    error: Callable[[str, str, str | None], UsageError] = lambda key, message, text: UsageError(message)


def example() -> str:
    """The text of a sweep file in which every key is explained."""
    return (files(__package__) / "example.toml").read_text(encoding="utf-8")


def read_sweep(path: Path) -> SweepFile:
    """A sweep from its file.

    Raises:
        UsageError: naming the file, the line, what was expected and what came.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        values = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"sweep file {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise UsageError(f"{path} is not TOML: {error}") from error
    file = FileTable(str(path), Lines(text), values)
    parameters = {p for owner in scenario_types().values() for p in parameters_of(owner)}
    spelled = parameters | {p.replace("_", "-") for p in parameters}
    file.only([*_KEYS, *sorted(spelled - set(_KEYS))], _ELSEWHERE)
    resources = Resources().with_table(file.table("slurm"), _AT_THE_TOP)
    for metric in file.texts("metrics"):
        if metric not in METRICS:
            raise file.error("metrics", f"unknown metric '{metric}'; {did_you_mean(metric, METRICS)}", metric)
    seeds = _seeds(file)
    for key, check in (("device", check_device_name), ("retry", parse_statuses)):
        if (given := file.text(key)) is not None:
            file.made(key, check, given)
    if "timeout" in file and not file.number("timeout", 0):
        raise file.wrong("timeout", "a number of seconds > 0")
    out = file.text("out")

    def of_key(key: str, message: str, text: str | None) -> UsageError:
        spelled = key if key in file else key.replace("_", "-")
        return file.error(spelled, f"{spelled}: {message}", text)

    return SweepFile(
        scenarios=tuple(_grids(file, "scenario", None)),
        methods=tuple(_grids(file, "method", resources)),
        shared=file.grid(key for key in file.values if key in spelled and key not in _KEYS),
        parameters=_parameters(file),
        seeds=seeds,
        training_seeds=file.whole("inits", 1),
        metrics=tuple(file.texts("metrics")),
        out=None if out is None else Path(out),
        device=file.text("device"),
        jobs=file.whole("jobs", 1),
        timeout=file.number("timeout", 0),
        retry=file.text("retry"),
        force=file.flag("force"),
        compile=file.flag("compile"),
        resources=resources,
        error=of_key,
    )


def _seeds(file: FileTable) -> str | None:
    """Seeds as `run` takes them; one number or a list of numbers will do too."""
    value = file.values.get("seeds")
    several = value if isinstance(value, list) else [value]
    if value is not None and all(isinstance(v, int) and not isinstance(v, bool) for v in several):
        value = ",".join(map(str, several))
    if value is None:
        return None
    if not isinstance(value, str):
        raise file.wrong("seeds", "a text such as '0:10' or '0:5,8', or whole numbers")
    file.made("seeds", parse_seeds, value)
    return value


def _parameters(file: FileTable) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for text in file.texts("parameter"):
        name, equals, value = text.partition("=")
        owner, dot, key = name.partition(".")
        if not (equals and dot):
            raise file.error("parameter", f"parameter: expected method.parameter=value, got '{text}'", text)
        if key in found.setdefault(owner, {}):
            raise file.error("parameter", f"parameter: {owner}.{key} is given twice", text)
        found[owner][key] = value
    return found


def _grids(file: FileTable, key: str, resources: Resources | None) -> list[Grid]:
    """The scenarios or methods of a file: texts, or tables with a name and parameters."""
    value = file.values.get(key)
    if value is None:
        return []
    entries = value if isinstance(value, list) else [value]
    if not entries:
        raise file.error(key, f"{key}: the list is empty")
    grids = []
    for i, entry in enumerate(entries):
        if isinstance(entry, str) and entry.strip():

            def of_text(name: str | None, message: str, shown: str = entry) -> UsageError:
                return file.error(key, f"{key}: {message}", shown)

            grids.append(_named(Grid(entry.strip(), {}, of_text, resources)))
            continue
        if not isinstance(entry, dict):
            raise file.error(key, f"{key}[{i}]: expected a name or a table with a name, got {entry!r}", entry)
        table = FileTable(file.path, file.lines, entry, (key, i) if isinstance(value, list) else (key,))
        names = table.texts("name")
        if not names:
            raise table.wrong("name", "a name, or a list of names")
        own = resources
        if "slurm" in table:
            if resources is None:
                raise table.error("slurm", f"{key}[{i}].slurm: a method may have resources of its own, a scenario not")
            own = resources.with_table(table.table("slurm"), _AT_THE_TOP)
        grid = table.grid(k for k in table.values if k not in ("name", "slurm"))

        def of_table(name: str | None, message: str, table: FileTable = table) -> UsageError:
            spelled = name.replace("_", "-") if name is not None and name not in table else name
            if name in _AT_THE_TOP and f"no parameter '{name}'" in message:
                message = f"{message.partition(';')[0]}; '{name}' {_AT_THE_TOP[name]}"
            return table.error(spelled if spelled is not None and spelled in table else None, message)

        grids += [_named(Grid(name.strip(), grid, of_table, own)) for name in names]
    return grids


def _named(grid: Grid) -> Grid:
    """The grid, if its brackets are whole. Raises UsageError."""
    try:
        parse_name(grid.text)
    except UsageError as error:
        raise grid.error("name", str(error)) from error
    return grid
