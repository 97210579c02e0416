"""The TOML files of sweeps, experiments and published results.

A file names scenarios, methods and seeds (`Request`), options of `run` (`Settings`) and, in the table [slurm], the
resources of jobs (`Resources`). Its parts [[expect]], [seen] and [publish] are read where they are used. `nica-bench
sweep --init` writes `nica_bench/sweep/example.toml`, in which every key is explained.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.files.lines import Lines
from nica_bench.files.toml import FileTable
from nica_bench.parameters import parameters_of, parse_name
from nica_bench.registry import scenario_types
from nica_bench.running.axis import Axis
from nica_bench.running.grid import Request, dotted_parameters
from nica_bench.running.plan import parse_seeds, parse_statuses
from nica_bench.running.resources import Resources
from nica_bench.training.device import check_device_name

__all__ = ["GridFile", "Settings", "parse_grid_file", "read_grid_file"]

_GRID = ("scenario", "method", "parameter", "seeds", "training-seeds", "training_seeds", "inits")
_SETTINGS = ("metrics", "out", "device", "jobs", "timeout", "retry", "force", "compile")
_ABOUT = ("title", "source", "question", "contradicts")
_PARTS = ("slurm", "expect", "seen", "publish")
_KEYS = (*_GRID, *_SETTINGS, *_ABOUT, *_PARTS)
_AT_THE_TOP = dict.fromkeys(_KEYS, "is a key of the whole file: it stands above the first [table]")
_ELSEWHERE = {
    **dict.fromkeys(Resources.keys(), "stands in the table [slurm]"),
    **{key: f"is an option of the command line: --{key}" for key in ("cluster", "attach", "detach", "yes", "poll")},
}


@dataclass(frozen=True)
class Settings:
    """The options of the computation of runs; None: not given.

    Args:
        out: the folder of the records.
        device: auto, cpu, cuda or mps.
        jobs: the number of worker processes.
        timeout: the time limit per run in seconds.
        retry: the statuses of runs that are repeated, see `parse_statuses`.
        force: whether all runs are repeated.
        compile: whether to train with torch.compile.
        metric_files: the files of metrics that are computed beside those of nica-bench.
    """

    out: Path | None = None
    device: str | None = None
    jobs: int | None = None
    timeout: float | None = None
    retry: str | None = None
    force: bool | None = None
    compile: bool | None = None
    metric_files: tuple[str, ...] | None = None

    def over(self, other: Settings) -> Settings:
        """Return these settings, completed by those of another."""
        return replace(other, **{key: value for key, value in vars(self).items() if value is not None})


@dataclass(frozen=True)
class GridFile:
    """The contents of a file; the defaults are those of an empty file.

    Args:
        name: the name of the file, without folder and suffix.
        table: the whole file, for the parts that other modules read.
        request: the scenarios, methods and seeds.
        settings: the options of the computation.
        resources: the resources of its jobs.
        metrics: the metrics that are shown at the end.
    """

    name: str = ""
    table: FileTable = field(default_factory=lambda: FileTable("", Lines(""), {}))
    request: Request = field(default_factory=Request)
    settings: Settings = Settings()
    resources: Resources = Resources()
    metrics: tuple[str, ...] = ()


def read_grid_file(path: Path) -> GridFile:
    """Read a file.

    Raises:
        UsageError: if the file is not valid; the message names file, line, expected value and value found.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"file {path} cannot be read: {error.strerror or error}") from error
    return parse_grid_file(data, str(path))


def parse_grid_file(data: bytes, path: str) -> GridFile:
    """Return the contents of the bytes of a file; the path is for messages."""
    try:
        text = data.decode("utf-8-sig")
        values = tomllib.loads(text)
    except ValueError as error:  # it is not UTF-8, or not TOML
        raise UsageError(f"{path} is not TOML: {error}") from error
    file = FileTable(path, Lines(text), values)
    parameters = {p for owner in scenario_types().values() for p in parameters_of(owner)}
    spelled = (parameters | {p.replace("_", "-") for p in parameters}) - set(_KEYS)
    file.only([*_KEYS, *sorted(spelled)], _ELSEWHERE)
    from nica_bench.metrics import METRICS  # imported here, because it imports scipy

    for metric in file.texts("metrics"):
        if metric not in METRICS:
            raise file.error("metrics", f"unknown metric '{metric}'; {did_you_mean(metric, METRICS)}", metric)

    def of_key(key: str, message: str, text: str | None) -> UsageError:
        written = key if key in file else key.replace("_", "-")
        return file.error(written, f"{written}: {message}", text)

    resources = Resources().with_table(file.table("slurm"), _AT_THE_TOP)
    request = Request(
        scenarios=_axes(file, "scenario", resources),
        methods=_axes(file, "method", resources),
        scenario_parameters=file.grid(key for key in file.values if key in spelled),
        method_parameters=dotted_parameters(
            file.texts("parameter"), lambda message, text: of_key("parameter", message, text)
        ),
        seeds=_seeds(file),
        training_seeds=_training_seeds(file),
        error=of_key,
    )
    return GridFile(Path(path).stem, file, request, _settings(file), resources, tuple(file.texts("metrics")))


def _settings(file: FileTable) -> Settings:
    for key, check in (("device", check_device_name), ("retry", parse_statuses)):
        if (given := file.text(key)) is not None:
            file.made(key, check, given)
    if "timeout" in file and not file.number("timeout", 0):
        raise file.wrong("timeout", "a number of seconds > 0")
    out = file.text("out")
    return Settings(
        out=None if out is None else Path(out),
        device=file.text("device"),
        jobs=file.whole("jobs", 1),
        timeout=file.number("timeout", 0),
        retry=file.text("retry"),
        force=file.flag("force"),
        compile=file.flag("compile"),
    )


def _seeds(file: FileTable) -> list[int] | None:
    """Return data seeds from a text as on the command line, a number, or a list of numbers."""
    value = file.values.get("seeds")
    several = value if isinstance(value, list) else [value]
    if value is not None and all(isinstance(v, int) and not isinstance(v, bool) for v in several):
        value = ",".join(map(str, several))
    if value is None:
        return None
    if not isinstance(value, str):
        raise file.wrong("seeds", "a text such as '0:10' or '0:5,8', or whole numbers")
    return file.made("seeds", parse_seeds, value)


def _training_seeds(file: FileTable) -> int | None:
    """Return the number of training seeds; `inits` is its old name."""
    given = [key for key in ("training-seeds", "training_seeds", "inits") if key in file]
    if len(given) > 1:
        raise file.error(given[1], f"{given[1]} is another spelling of {given[0]}, which is given too")
    return file.whole(given[0], 1) if given else None


def _axes(file: FileTable, key: str, resources: Resources) -> list[Axis]:
    """Return the scenarios or methods of a file: texts, or tables with a name and parameters."""
    value = file.values.get(key, [])
    entries = value if isinstance(value, list) else [value]
    if key in file and not entries:
        raise file.error(key, f"{key}: the list is empty")
    axes = []
    for i, entry in enumerate(entries):
        if isinstance(entry, dict):
            where = (key, i) if value is entries else (key,)
            axes += _table_axes(FileTable(file.path, file.lines, entry, where), resources)
        elif isinstance(entry, str) and entry.strip():

            def error(name: str | None, message: str, entry: str = entry) -> UsageError:
                return file.error(key, f"{key}: {message}", entry)

            axes.append(_checked(Axis(entry.strip(), error=error)))
        else:
            raise file.error(key, f"{key}[{i}]: expected a name or a table with a name, got {entry!r}", entry)
    return axes


def _table_axes(table: FileTable, resources: Resources) -> list[Axis]:
    """Return the axes of a table, one per name."""
    key = table.where[0]
    names = table.texts("name")
    if not names:
        raise table.wrong("name", "a name, or a list of names")
    own = None
    if "slurm" in table:
        if key == "scenario":
            raise table.error("slurm", "slurm: a method may have resources of its own, a scenario not")
        own = resources.with_table(table.table("slurm"), _AT_THE_TOP)
    grid = table.grid(k for k in table.values if k not in ("name", "slurm"))

    def error(name: str | None, message: str) -> UsageError:
        written = name.replace("_", "-") if name is not None and name not in table else name
        if name in _AT_THE_TOP and f"no parameter '{name}'" in message:
            message = f"{message.partition(';')[0]}; '{name}' {_AT_THE_TOP[name]}"
        return table.error(written if written is not None and written in table else None, message)

    return [_checked(Axis(name.strip(), grid, error=error, resources=own)) for name in names]


def _checked(axis: Axis) -> Axis:
    """Return the axis. Raises UsageError if its brackets are not valid."""
    try:
        parse_name(axis.text)
    except UsageError as error:
        raise axis.error("name", str(error)) from error
    return axis
