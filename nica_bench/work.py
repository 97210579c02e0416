"""The work of one group: make the data, fit, score, and write a record for each cell as soon as it is finished."""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nica_bench.dataset import Dataset
from nica_bench.errors import ContractError
from nica_bench.method import FitSession, Fitted, Progress
from nica_bench.metrics import Sample, score
from nica_bench.plan import Cell, Group
from nica_bench.provenance import peak_memory_bytes, provenance
from nica_bench.record import Record, Status
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams
from nica_bench.store import Store, StoreError

__all__ = ["Setting", "failed_record", "run_group"]

KEPT_CODES = 500
"""Test codes kept in a record's arrays, for figures."""


@dataclass(frozen=True)
class Setting:
    """What is the same for every group of a run."""

    out: str
    device: str
    compile: bool
    command: tuple[str, ...]


@functools.lru_cache(maxsize=32)
def _dataset(scenario: Scenario, seed: int) -> Dataset:
    return scenario.generate(seed)


def failed_record(cell: Cell, status: Status, message: str, setting: Setting, started: float) -> Record:
    """A failure as a row."""
    return Record(
        spec=cell.spec,
        status=status,
        told=cell.method.told(),
        message=message or status.value,
        kind=cell.method.kind(),
        cost={"wall_seconds": time.time() - started},
        provenance=provenance(setting.command, setting.device, 1, started),
    )


def run_group(group: Group, setting: Setting, started_cell: Callable[[int], None], report: Any) -> None:
    """Run all cells of a group and write their records.

    Args:
        group: the cells.
        setting: of the run.
        started_cell: called with a cell's index before it is fitted (a replicated method's cells start together).
        report: takes the progress of a fit.
    """
    store = Store.open(setting.out)
    method = group.cells[0].method
    session = FitSession(setting.device, setting.compile, report)
    parts = [group.cells] if method.replicated else [(cell,) for cell in group.cells]
    done = 0
    for cells in parts:
        started = time.time()
        started_cell(done)
        fitted: list[Fitted] = []
        failure: tuple[Status, str] | None = None
        try:
            data = [_dataset(c.scenario, c.seed) for c in cells]
            seen = [d.observations(**method.told()) for d in data]
            streams = [Streams(c.seed, c.init) for c in cells]
            wall, cpu = time.time(), time.process_time()
            fitted = method.fit_group(seen, streams, session)
            if len(fitted) != len(cells):
                raise ContractError(f"fit_group must return {len(cells)} fits, got {len(fitted)}")
            cost = {
                "wall_seconds": (time.time() - wall) / len(cells),
                "cpu_seconds": (time.process_time() - cpu) / len(cells),
                "peak_memory_bytes": peak_memory_bytes(),
            }
        except Exception as error:
            failure = _failure(error)
        for i, cell in enumerate(cells):
            if failure is not None:
                record, arrays = failed_record(cell, *failure, setting, started), None
            else:
                try:
                    record, arrays = _scored(cell, data[i], fitted[i], cost, setting, started)
                except Exception as error:
                    record, arrays = failed_record(cell, *_failure(error), setting, started), None
            store.write(record, arrays)
            done += 1
            report(Progress(done, len(group.cells)))


def _failure(error: Exception) -> tuple[Status, str]:
    if isinstance(error, StoreError):
        raise error
    memory = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f" ({last.filename.rsplit('/', 1)[-1]}, line {last.lineno})"
    return (Status.OOM if memory else Status.ERROR), f"{type(error).__name__}: {error}{where}"


def _scored(
    cell: Cell, data: Dataset, fitted: Fitted, cost: dict[str, Any], setting: Setting, started: float
) -> tuple[Record, dict[str, Any]]:
    """Encode, check the contract, score."""
    method = cell.method
    samples = []
    for name, split in (("validation", data.validation), ("test", data.test)):
        codes = np.asarray(fitted.encode(split.x, split.u if method.uses_conditions else None))
        if codes.ndim != 2 or codes.shape[0] != split.x.shape[0]:
            raise ContractError(
                f"{method.name}: {name} codes need shape ({split.x.shape[0]}, codes), got {codes.shape}"
            )
        samples.append(Sample(split.z, codes, split.u))
    importance = np.asarray(fitted.importance)
    if importance.shape != (samples[0].codes.shape[1],):
        raise ContractError(
            f"{method.name}: importance needs shape ({samples[0].codes.shape[1]},), got {importance.shape}"
        )
    streams = Streams(cell.seed, cell.init)
    scores = score(
        samples[0], samples[1], importance, streams.numpy("evaluation"), knows_dimension=method.knows_dimension
    )
    status, message = Status.OK, ""
    if fitted.diverged is not None:
        status, message = Status.DIVERGED, fitted.diverged
    elif not all(np.isfinite(s.codes).all() for s in samples):
        bad = int((~np.isfinite(samples[1].codes)).sum())
        status, message = Status.ERROR, f"{bad} of {samples[1].codes.size} test codes are not finite"
    elif scores.correlation.size and not scores.correlation.any():
        status, message = Status.ERROR, "all codes are constant"
    record = Record(
        spec=cell.spec,
        status=status,
        told=method.told(),
        message=message,
        notes=scores.notes,
        kind=method.kind(),
        truth={**data.truth, "equivalence": cell.scenario.equivalence},
        difficulty=dict(data.difficulty),
        scores=scores.values,
        dimensions=scores.dimensions,
        training={**fitted.training, "heldout_loss": fitted.heldout_loss},
        cost=cost,
        provenance=provenance(setting.command, setting.device, 1, started),
    )
    arrays = {
        "importance": importance,
        "correlation": scores.correlation,
        "assignment": np.array([scores.assignment.codes, scores.assignment.signs]),
        "codes": samples[1].codes[:KEPT_CODES],
        "z": samples[1].z[:KEPT_CODES],
        "u": samples[1].u[:KEPT_CODES],
        **{f"ranking_{name}": np.asarray(values) for name, values in fitted.rankings.items()},
    }
    if fitted.loss_curve is not None:
        arrays["loss"] = fitted.loss_curve
    return record, arrays
