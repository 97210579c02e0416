"""A run from a program: the same plan, workers, records and cache as the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from nica_bench.api.data import make_scenario
from nica_bench.api.estimators import wrap
from nica_bench.api.results import Runs
from nica_bench.api.sources import add_source_to_version
from nica_bench.dataset import Dataset
from nica_bench.errors import UsageError
from nica_bench.method import Method
from nica_bench.metrics import Metric
from nica_bench.records.collection import Collection
from nica_bench.records.store import Store
from nica_bench.running.grid import Request, resolve
from nica_bench.running.plan import parse_seeds, parse_statuses
from nica_bench.running.progress import reporting
from nica_bench.running.reporter import Reporter
from nica_bench.running.runner import execute, make_plan
from nica_bench.scenario import Scenario
from nica_bench.training.device import check_device_name

__all__ = ["run"]


def run(
    scenarios: Any,
    methods: Any = None,
    seeds: int | str | Iterable[int] | None = None,
    training_seeds: int | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    metrics: Sequence[str | os.PathLike[str] | Metric] = (),
    jobs: int | None = None,
    device: str = "auto",
    timeout: float | None = None,
    retry: str | None = None,
    force: bool = False,
    compile: bool = False,
    progress: bool = True,
    debug: bool = False,
) -> Runs:
    """Run methods on scenarios. Runs whose records exist in `out` are not computed again.

    A run that fails is a record with its status and message, never an exception. When the program is interrupted, what
    is finished is kept in `out`, and the same call continues there.

    Args:
        scenarios: one or several of: a name such as "gauss-2of10[conditions=3]", the path of a data file or of a
            scenario's Python file, a `Scenario`, or a `Dataset`.
        methods: one or several of: a name such as "gin[lr=0.001]", the path of a Python file, a `Method` or its
            class, or an object with scikit-learn's `fit` and `transform` (see `wrap`). None is the default methods.
        seeds: of the datasets: numbers, or a text such as "0:10"; None is each scenario's default.
        training_seeds: number of trainings per dataset; None is each scenario's default.
        out: folder of the records. None is a temporary folder, which is removed when the returned object is: nothing
            is kept for a later call.
        metrics: beside those of nica-bench and of installed packages: metrics, or files that define some.
        jobs: worker processes; None is one for each core.
        device: auto, cpu, cuda or mps.
        timeout: longest time of a run in seconds.
        retry: statuses whose runs are computed again: "failed", or such as "timeout,oom".
        force: compute everything again.
        compile: train with torch.compile.
        progress: show the progress on stderr, in a notebook below the cell.
        debug: print the traceback of a run that fails.

    Raises:
        UsageError: for unknown names, wrong values, or a folder that holds something else.
        NicaBenchError: if records cannot be written any more; what is finished is kept.
    """
    check_device_name(device)
    request = Request(
        [_scenario(each) for each in _several(scenarios)],
        [] if methods is None else [_method(each) for each in _several(methods)],
        seeds=_seeds(seeds),
        training_seeds=training_seeds,
    )
    if methods is not None and not request.methods:
        raise UsageError("methods is an empty list; None takes the default methods")
    grid = resolve(request, limit=None)
    added = tuple(m if isinstance(m, Metric) else str(Path(m).absolute()) for m in metrics)
    folder = TemporaryDirectory(prefix="nica-bench-") if out is None else None
    store = Store.open(folder.name if folder is not None else os.fspath(out or "."))
    plan = make_plan(grid, store, retry=parse_statuses(retry), force=force)
    with _same_environment(), _reporter(progress, len(plan.pending), len(grid.scenarios)) as reporter:
        records = execute(
            plan,
            device=device,
            jobs=jobs,
            timeout=timeout,
            compile=compile,
            debug=debug,
            modules=grid.modules,
            metrics=added,
            command=("nica_bench.run",),
            reporter=reporter,
        )
    return Runs(Collection.of(records, store), folder)


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def _seeds(given: int | str | Iterable[int] | None) -> list[int] | None:
    if given is None:
        return None
    return parse_seeds(str(given)) if isinstance(given, (int, str)) else [int(seed) for seed in given]


def _scenario(given: Any) -> str | Scenario:
    """A text as on the command line, or a scenario."""
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    if not isinstance(given, (Scenario, Dataset)):
        raise UsageError(f"a scenario is a name, a file, a Scenario or a Dataset, got {type(given).__name__}")
    return make_scenario(given)


def _method(given: Any) -> str | Method:
    """A text as on the command line, or a method."""
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    if isinstance(given, type) and issubclass(given, Method):
        given = given()
    if not isinstance(given, Method):
        return wrap(given)
    add_source_to_version(type(given))
    return given


@contextlib.contextmanager
def _same_environment() -> Iterator[None]:
    """Give the program its environment variables back: workers inherit a number of threads from them."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _reporter(shown: bool, total: int, scenarios: int) -> Iterator[Reporter]:
    if not shown or not total:
        yield Reporter()
        return
    with reporting(total, scenarios, Console(stderr=True, highlight=False)) as reporter:
        yield reporter
