"""Metrics that are added to those of nica-bench: how they are declared, and their values for one fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.metrics.scores import METRICS, Metric, Sample

__all__ = ["check_metric_declaration", "plug_in_scores"]


def check_metric_declaration(metric: object, where: str) -> None:
    """Check what a metric says of itself.

    Args:
        metric: should be a `Metric` with `compute`.
        where: what defines it, for the message.

    Raises:
        UsageError: for a wrong name, one of nica-bench's own, an empty range, or a chance level outside of it.
    """
    if not isinstance(metric, Metric) or not callable(metric.compute):
        raise UsageError(f"{where}: expected an instance of Metric with compute, got {type(metric).__name__}")
    if not isinstance(metric.name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", metric.name):
        raise UsageError(f"{where}: a metric's name is small letters, digits and '_', got {metric.name!r}")
    if metric.name in METRICS:
        raise UsageError(f"{where}: nica-bench has a metric '{metric.name}' of its own: choose another name")
    if not metric.low < metric.high:
        raise UsageError(f"{where}: {metric.name} needs a range with low < high, got {metric.low} to {metric.high}")
    if metric.chance is not None and not metric.low <= metric.chance <= metric.high:
        raise UsageError(
            f"{where}: the chance level of {metric.name} lies in its range {metric.low:g} to {metric.high:g}, "
            f"got {metric.chance}"
        )


def plug_in_scores(
    metrics: Iterable[Metric], validation: Sample, test: Sample, importance: NDArray[Any]
) -> tuple[dict[str, float | None], list[str]]:
    """Compute metrics for one fit. One that fails leaves the others, and the fit, as they are.

    Args:
        metrics: each with `compute`; those that need latents have no value where z has no columns.
        validation, test: as in `nica_bench.metrics.score`; what a metric does to its copies changes nothing.
        importance: the method's own ranking, shape (m,).

    Returns:
        Values by name, None where there is none, and a remark for each metric that failed.
    """
    values: dict[str, float | None] = {}
    notes = []
    for metric in metrics:
        assert metric.compute is not None, "it was declared with one"
        values[metric.name] = None
        if metric.needs_latents and not test.z.shape[1]:
            continue
        own = [Sample(s.z.copy(), s.codes.copy(), s.u.copy()) for s in (validation, test)]
        try:
            value = float(metric.compute(own[0], own[1], np.array(importance)))
        except Exception as error:
            notes.append(f"metric {metric.name}: {type(error).__name__}: {error}".partition("\n")[0])
            continue
        if math.isfinite(value) and metric.low <= value <= metric.high:
            values[metric.name] = value
        else:
            notes.append(f"metric {metric.name}: expected a number in {metric.low:g} to {metric.high:g}, got {value}")
    return values, notes
