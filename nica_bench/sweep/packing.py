"""Packing runs into jobs, and jobs of a kind into arrays."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from nica_bench.records.record import Record, Status
from nica_bench.running.plan import Run
from nica_bench.running.resources import Resources

__all__ = ["Batch", "Costs", "family_of", "pack"]


@dataclass(frozen=True)
class Batch:
    """Jobs of a kind: one array.

    Args:
        resources: of each job.
        jobs: the runs of each job.
        largest: most runs that train at once; None is as many as the memory holds.
        attempt: how often these runs ran out of memory before.
    """

    resources: Resources
    jobs: tuple[tuple[Run, ...], ...]
    largest: int | None = None
    attempt: int = 0


def family_of(run: Run) -> Hashable:
    """What runs have in common that can train together: the method with its parameters, and the data's shape."""
    s, m = run.scenario, run.method
    if "f" in m.side_information or not m.replicated:
        return m, s
    shape = s.samples, getattr(s, "held_out", None), s.n_observed, s.conditions, s.n_latents
    return m, type(s), shape, getattr(s, "image_shape", None), s.mixed_coordinates


class Costs:
    """What runs cost, from records that are there.

    Args:
        records: of any runs.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        seconds: dict[Hashable, list[float]] = {}
        memory: dict[Hashable, list[float]] = {}
        for r in records:
            if r.status is not Status.OK:
                continue
            for key in ((r.spec.method_label, r.spec.scenario_label), r.spec.method_label):
                for name, found in (("wall_seconds", seconds), ("peak_memory_bytes", memory)):
                    if isinstance(value := r.cost.get(name), (int, float)):
                        found.setdefault(key, []).append(float(value))
        self._seconds = {key: statistics.median(values) for key, values in seconds.items()}
        self._memory = {key: max(values) for key, values in memory.items()}

    def seconds(self, run: Run) -> float | None:
        """Seconds of a run in its group: the median of the same method and scenario, else of the method; or None."""
        return self._of(self._seconds, run)

    def memory(self, run: Run) -> float | None:
        """Largest bytes of a process that made such a run, or None."""
        return self._of(self._memory, run)

    def _of(self, values: Mapping[Hashable, float], run: Run) -> float | None:
        method, scenario = run.method.label, run.scenario.label
        return values.get((method, scenario), values.get(method))


def pack(runs: Iterable[Run], resources: Callable[[Run], Resources], costs: Costs) -> list[Batch]:
    """Runs that can train together into jobs of nearly the same size, and jobs with the same resources into arrays.

    Args:
        runs: what is to be computed.
        resources: of a run's job, with the limits of runs and minutes.
        costs: what runs take.
    """
    families: dict[Hashable, list[Run]] = {}
    for run in runs:
        families.setdefault((resources(run), family_of(run)), []).append(run)
    kinds: dict[Resources, list[tuple[Run, ...]]] = {}
    for members in families.values():
        kind = resources(members[0])
        known = [s for c in members if (s := costs.seconds(c)) is not None]
        most = kind.runs_per_job
        if known and (each := statistics.fmean(known)) > 0:
            workers = kind.cpus if not kind.gpus else 1
            most = max(1, min(most, int(kind.minutes_per_job * 60 * workers / each)))
        jobs = -(-len(members) // most)
        bounds = [len(members) * i // jobs for i in range(jobs + 1)]
        kinds.setdefault(kind, []).extend(tuple(members[a:b]) for a, b in zip(bounds, bounds[1:], strict=False))
    return [Batch(kind, tuple(jobs)) for kind, jobs in kinds.items()]
