"""The work of one group: make the data, fit, score, and write a record for each run as soon as it is finished."""

from __future__ import annotations

import time
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Dataset
from nica_bench.files.tensors import read_metadata
from nica_bench.method import FitSession, Fitted, Interrupted, Progress
from nica_bench.metrics import METRICS, Metric, Sample, Scores, plug_in_scores, score
from nica_bench.records.provenance import peak_memory_bytes, provenance
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.registry import chosen_metrics
from nica_bench.running.contract import checked_codes, checked_facts, checked_fits, checked_history, checked_ranking
from nica_bench.running.images import ROWS, score_without_latents, some_rows
from nica_bench.running.plan import Group, Run
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["Setting", "failed_record", "run_group"]

Arrays = dict[str, NDArray[Any]]

KEPT_CODES = 500
"""Test codes kept in a record's arrays, for figures."""
KEPT_VALUES = 20_000_000
"""Training values of the datasets that a process keeps: 40 of the artificial ones, or one of images."""


@dataclass(frozen=True)
class Setting:
    """What is the same for every group of a run."""

    out: str
    device: str
    compile: bool
    command: tuple[str, ...]
    debug: bool = False
    threads: int = 1
    checkpoint_seconds: float = 180.0
    weights: bool = False
    """Keep the weights of every fit; those of fits on images are kept anyhow, for their figures."""
    metrics: tuple[str | Metric, ...] = ()
    """Metrics beside those of nica-bench and of installed packages, or the files that define them."""


_datasets: OrderedDict[tuple[Scenario, int], Dataset] = OrderedDict()
"""What this process has made, the last one at the end."""


def _dataset(scenario: Scenario, seed: int) -> Dataset:
    """A dataset, made once for the runs that share it; those longest unused make room before the next is made."""
    key = (scenario, seed)
    if key not in _datasets:
        needed = scenario.samples * scenario.n_observed
        while _datasets and needed + sum(d.train.x.size for d in _datasets.values()) > KEPT_VALUES:
            _datasets.popitem(last=False)
        _datasets[key] = scenario.generate(seed)
    _datasets.move_to_end(key)
    return _datasets[key]


def failed_record(run: Run, status: Status, message: str, setting: Setting, started: float) -> Record:
    """A failure as a row."""
    return Record(
        spec=run.spec,
        status=status,
        side_information=run.method.side_information,
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

    A fit that can (see `FitSession.checkpoint`) leaves its state in `<out>/checkpoints` now and then and goes on from
    there when it was cut off; with its records written, the state is removed.

    Args:
        group: the runs.
        setting: of the run.
        send: takes ("begun", i) before run i is fitted (a replicated method's runs begin together), ("step",
            progress) now and then during a fit, and ("run", i) when the record of run i is on the disk.
        interrupted: asked by fits that can be interrupted.

    Raises:
        Interrupted: if a fit was; its runs have no records.
        StoreError: if a record can't be written.
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
        for run, record, arrays, weights in _outcomes(runs, setting, replace(session, checkpoint=checkpoint)):
            store.write(record, arrays, weights)
            send("cell", places[run])
            done = done and record.status in (Status.OK, Status.DIVERGED)
        if done:
            checkpoint.unlink(missing_ok=True)


class _Throttle:
    """Passes a fit's progress on ten times a second at most: a fit may report at every step."""

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
    """Make the data, fit and score runs that are fitted at once; one whose data can't be made leaves the others."""
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
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            seen = [d.observations(method.side_information) for d in data.values()]
            streams = [Streams.of_fit(c.seed, c.training_seed) for c in data]
            before = _spent(session.checkpoint)
            wall, cpu = time.time() - before[0], time.process_time() - before[1]
            fits = checked_fits(method, method.fit_group(seen, streams, session), len(data))
        cost = {
            "wall_seconds": (time.time() - wall) / len(data),
            "cpu_seconds": (time.process_time() - cpu) / len(data),
            "peak_memory_bytes": peak_memory_bytes(),
        }
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
            yield run, *_scored(run, dataset, fitted, notes, cost, setting, started), kept
        except Exception as error:
            yield run, failed_record(run, *_failure(error, setting), setting, started), None, None


def _spent(checkpoint: Path | None) -> tuple[float, float]:
    """Wall and CPU seconds that went into a fit before it was cut off."""
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
    """Encode, check the contract, score."""
    method = run.method
    blind = data.n_latents is None
    test_split = some_rows(data.test, ROWS) if blind else data.test
    test = checked_codes(method, fitted, test_split, "test")
    width = test.shape[1]
    importance = checked_ranking(method, "importance", fitted.importance, width)
    rankings = {name: checked_ranking(method, name, values, width) for name, values in fitted.rankings.items()}
    facts, curve = checked_facts(method, fitted)
    streams = Streams.of_fit(run.seed, run.training_seed)
    values: dict[str, float | None]
    finite, varying = bool(np.isfinite(test).all()), bool((test.max(0) > test.min(0)).any())
    if blind:
        scores, classes, said, arrays = score_without_latents(
            method, data, fitted, importance, test_split, test, streams
        )
        # what compares codes with latents is not applicable: null, which is no failure and not 0
        values = {**{m.name: None for m in METRICS.values() if m.needs_latents}, **scores.values, **classes}
    else:
        scores, validation, arrays = _against_latents(run, data, fitted, importance, test, streams)
        values, said = dict(scores.values), []
        finite = finite and bool(np.isfinite(validation).all())
        varying = not scores.correlation.size or bool(scores.correlation.any())
    added, remarks = _added_metrics(run, data, fitted, importance, test, setting)
    values, said = {**values, **added}, [*said, *remarks]
    status, message = Status.OK, ""
    if fitted.diverged is not None:
        status, message = Status.DIVERGED, fitted.diverged
    elif not finite:
        bad = int((~np.isfinite(test)).sum())
        status, message = Status.ERROR, f"{bad} of {test.size} test codes are not finite"
    elif not varying:
        status, message = Status.ERROR, "all codes are constant"
    record = Record(
        spec=run.spec,
        status=status,
        side_information=method.side_information,
        message=message,
        notes=[*scores.notes, *said, *notes],
        kind=method.kind(),
        truth={**data.truth, "equivalence": run.scenario.equivalence},
        difficulty=dict(data.difficulty),
        scores=values,
        dimensions=scores.dimensions,
        training=facts,
        cost=cost,
        provenance=provenance(setting.command, setting.device, setting.threads if method.large else 1, started),
    )
    if not blind:  # of images the leading codes are kept, see nica_bench/running/images.py
        arrays |= {"codes": test[:KEPT_CODES], "u": test_split.u[:KEPT_CODES]}
    arrays |= {
        "importance": importance,
        **{f"ranking_{name}": values for name, values in rankings.items()},
    }
    if curve is not None:
        arrays["loss"] = curve
    arrays |= {f"history_{name}": values for name, values in checked_history(method, fitted).items()}
    return record, arrays


def _added_metrics(
    run: Run, data: Dataset, fitted: Fitted, importance: NDArray[Any], test: NDArray[Any], setting: Setting
) -> tuple[dict[str, float | None], list[str]]:
    """The values of the metrics that nica-bench does not have itself, and remarks on those that have none."""
    metrics = chosen_metrics(setting.metrics)
    if not metrics:
        return {}, []
    validation = checked_codes(run.method, fitted, data.validation, "validation")
    codes = ((data.validation, validation), (data.test if len(test) == len(data.test.u) else None, test))
    samples = []
    for split, made in codes:
        part = some_rows(data.test, ROWS) if split is None else split
        z = np.zeros((len(made), 0)) if part.z is None else part.z
        samples.append(Sample(z, made, part.u))
    return plug_in_scores(metrics, samples[0], samples[1], importance)


def _against_latents(
    run: Run, data: Dataset, fitted: Fitted, importance: NDArray[Any], test: NDArray[Any], streams: Streams
) -> tuple[Scores, NDArray[Any], Arrays]:
    """The scores of codes whose latents are known, the validation codes, and arrays for the record."""
    method, z, validation_z = run.method, data.test.z, data.validation.z
    assert z is not None, "the caller has looked"
    assert validation_z is not None, "all splits have latents or none"
    validation = checked_codes(method, fitted, data.validation, "validation")
    scores = score(
        Sample(validation_z, validation, data.validation.u),
        Sample(z, test, data.test.u),
        importance,
        streams.numpy("evaluation"),
        knows_dimension="n" in method.side_information,
    )
    arrays = {
        "correlation": scores.correlation,
        "slopes": scores.slopes,
        "assignment": np.array([scores.assignment.codes, scores.assignment.signs]),
        "z": z[:KEPT_CODES],
    }
    return scores, validation, arrays
