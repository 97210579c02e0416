"""The computation of one group: make the data, fit, score, and write a record for each run."""

from __future__ import annotations

import time
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nica_bench.dataset import Dataset
from nica_bench.errors import ContractError
from nica_bench.files.tensors import read_metadata
from nica_bench.method import FitSession, Fitted, Interrupted, Progress
from nica_bench.metrics import Metric
from nica_bench.records.provenance import peak_memory_bytes, provenance
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.running.contract import checked_facts, checked_fits, checked_history
from nica_bench.running.isolation import ImportClock, checksum, isolated
from nica_bench.running.plan import Group, Run
from nica_bench.running.scoring import score_fit
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["Setting", "failed_record", "run_group"]

Arrays = dict[str, NDArray[Any]]

KEPT_VALUES = 20_000_000
"""The number of training values in the cache of datasets: 40 artificial datasets, or one of images."""


@dataclass(frozen=True)
class Setting:
    """The options that are equal for all groups of a command."""

    out: str
    device: str
    compile: bool
    command: tuple[str, ...]
    debug: bool = False
    threads: int = 1
    checkpoint_seconds: float = 180.0
    weights: bool = False
    """Whether to store the weights of every fit; those of fits on images are always stored, for figures."""
    metrics: tuple[str | Metric, ...] = ()
    """The metrics beside those of nica-bench and of installed packages, or the files that define them."""


_datasets: OrderedDict[tuple[Scenario, int], Dataset] = OrderedDict()
"""The cache of datasets of this process, the most recently used one last."""


def _dataset(scenario: Scenario, seed: int) -> Dataset:
    """Return a dataset from the cache; the least recently used ones are removed before a new one is made."""
    key = (scenario, seed)
    if key not in _datasets:
        needed = scenario.samples * scenario.n_observed
        while _datasets and needed + sum(d.train.x.size for d in _datasets.values()) > KEPT_VALUES:
            _datasets.popitem(last=False)
        _datasets[key] = scenario.generate(seed)
    _datasets.move_to_end(key)
    return _datasets[key]


def failed_record(run: Run, status: Status, message: str, setting: Setting, started: float) -> Record:
    """The record of a run that failed; what its data would have been is known from the scenario."""
    scenario = run.scenario
    return Record.make(
        spec=run.spec,
        status=status,
        side_information=run.method.side_information,
        n_latents=scenario.n_latents,
        n_observed=scenario.n_observed,
        image_shape=scenario.image_shape,
        message=message or status.value,
        kind=run.method.kind(),
        cost={"wall_seconds": time.time() - started},
        provenance=provenance(setting.command, setting.device, 1, started),
    )


def run_group(
    group: Group,
    setting: Setting,
    send: Callable[[str, Any], None],
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Run all runs of a group and write their records.

    A fit that supports it (see `FitSession.checkpoint`) saves its state in `<out>/checkpoints` at intervals and resumes
    from there after an interruption; the state is removed when the records are written.

    Args:
        group: the runs.
        setting: the setting of the command.
        send: the function that receives ("begun", i) before run i is fitted (runs of a replicated method begin
            together), ("step", progress) during a fit, and ("run", i) when the record of run i is on the disk.
        interrupted: the function by which fits check whether to stop.

    Raises:
        Interrupted: if a fit was interrupted; its runs have no records.
        StoreError: if a record cannot be written.
    """
    store = Store.open(setting.out)
    method = group.runs[0].method
    places = {run: i for i, run in enumerate(group.runs)}
    session = FitSession(
        setting.device,
        setting.compile,
        _Throttle(lambda progress: send("step", progress)),
        checkpoint_seconds=setting.checkpoint_seconds,
        interrupted=interrupted,
        threads=setting.threads,
    )
    for runs in [group.runs] if method.replicated else [(run,) for run in group.runs]:
        send("begun", places[runs[0]])
        checkpoint = store.checkpoint([c.spec.key for c in runs])
        done = True
        with isolated(Streams.of_fit(runs[0].seed, runs[0].training_seed)):
            for run, record, arrays, weights in _outcomes(runs, setting, replace(session, checkpoint=checkpoint)):
                store.write(record, arrays, weights)
                send("run", places[run])
                done = done and record.status in (Status.OK, Status.DIVERGED)
        if done:
            checkpoint.unlink(missing_ok=True)


class _Throttle:
    """A filter that reports the progress of a fit at most ten times per second."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now >= self._next or progress.step == progress.steps:
            self._next = now + 0.1
            self._report(progress)


def _outcomes(
    runs: Sequence[Run], setting: Setting, session: FitSession
) -> Iterator[tuple[Run, Record, Arrays | None, Arrays | None]]:
    """Make the data, fit and score runs that are fitted together; a run whose data cannot be made fails alone."""
    started = time.time()
    method = runs[0].method
    data: dict[Run, Dataset] = {}
    for run in runs:
        try:
            data[run] = _dataset(run.scenario, run.seed)
        except Exception as error:
            yield run, failed_record(run, *_failure(error, setting), setting, started), None, None
    if not data:
        return
    sums = {run: checksum(dataset) for run, dataset in data.items()}
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            seen = [d.observations(method.side_information) for d in data.values()]
            streams = [Streams.of_fit(c.seed, c.training_seed) for c in data]
            before = _spent(session.checkpoint)
            wall, cpu = time.time() - before[0], time.process_time() - before[1]
            with ImportClock() as imports:
                fits = checked_fits(method, method.fit_group(seen, streams, session), len(data))
        cost = {
            "wall_seconds": (time.time() - wall - imports.wall) / len(data),
            "cpu_seconds": (time.process_time() - cpu - imports.cpu) / len(data),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        for run, dataset in data.items():
            _check_untouched(run, dataset, sums[run], "fit")
    except Interrupted:
        raise
    except Exception as error:
        status, message = _failure(error, setting)
        for run in data:
            yield run, failed_record(run, status, message, setting, started), None, None
        return
    notes = list(dict.fromkeys(f"{w.category.__name__}: {w.message}".partition("\n")[0] for w in caught))
    for (run, dataset), fitted in zip(data.items(), fits, strict=True):
        try:
            kept = dict(fitted.weights) if setting.weights or dataset.image_shape is not None else None
            outcome = _scored(run, dataset, fitted, notes, cost, setting, started)
            _check_untouched(run, dataset, sums[run], "encode")
            yield run, *outcome, kept
        except Exception as error:
            yield run, failed_record(run, *_failure(error, setting), setting, started), None, None


def _check_untouched(run: Run, data: Dataset, expected: int, call: str) -> None:
    """Refuse a fit that changed its data. They are forgotten, so that the next method gets them as they were made.

    Raises:
        ContractError: if the checksum of the data is not the expected one.
    """
    if checksum(data) != expected:
        _datasets.clear()  # the arrays of other datasets may be reached too, for example of the same group
        raise ContractError(f"{run.method.name}: {call} changed the data in place: work on a copy")


def _spent(checkpoint: Path | None) -> tuple[float, float]:
    """Return the wall and CPU seconds of a fit before its interruption."""
    found = {} if checkpoint is None else read_metadata(checkpoint)
    return float(found.get("wall_seconds", 0)), float(found.get("cpu_seconds", 0))


def _failure(error: Exception, setting: Setting) -> tuple[Status, str]:
    if setting.debug:
        traceback.print_exception(error)
    memory = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f" ({last.filename.rsplit('/', 1)[-1]}, line {last.lineno})"
    return (Status.OOM if memory else Status.ERROR), f"{type(error).__name__}: {error}{where}"


def _scored(
    run: Run,
    data: Dataset,
    fitted: Fitted,
    notes: list[str],
    cost: dict[str, Any],
    setting: Setting,
    started: float,
) -> tuple[Record, Arrays]:
    """Score a fit, and return its record and its arrays."""
    method = run.method
    scoring = score_fit(method, data, fitted, Streams.of_fit(run.seed, run.training_seed), setting.metrics)
    facts, curve = checked_facts(method, fitted)
    record = Record.make(
        spec=run.spec,
        status=scoring.status,
        side_information=method.side_information,
        n_latents=data.n_latents,
        n_observed=data.n_observed,
        image_shape=data.image_shape,
        message=scoring.message,
        notes=[*scoring.notes, *notes],
        kind=method.kind(),
        truth={**data.truth, "equivalence": run.scenario.equivalence},
        difficulty=dict(data.difficulty),
        scores=scoring.values,
        dimensions=scoring.scores.dimensions,
        training=facts,
        cost=cost,
        provenance=provenance(setting.command, setting.device, setting.threads if method.large else 1, started),
    )
    arrays = dict(scoring.arrays)
    if curve is not None:
        arrays["loss"] = curve
    arrays |= {f"history_{name}": values for name, values in checked_history(method, fitted).items()}
    return record, arrays
