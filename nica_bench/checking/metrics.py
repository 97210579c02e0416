"""The contract of a metric, tried on small samples."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nica_bench.checking.finding import Checks
from nica_bench.checking.randomness import GlobalRandomness
from nica_bench.metrics import Metric, Sample, plug_in_scores

__all__ = ["check_metric"]

_ROWS, _LATENTS = 300, 3


def check_metric(metric: Metric, path: Path) -> Checks:
    """Try a metric on codes that are the latents, on noise, and on codes that are constant or not finite.

    Args:
        metric: with `compute`; its declaration was checked when its file was read.
        path: its file.
    """
    checks = Checks(cast(Any, metric.compute), path)
    rng = np.random.default_rng(0)
    u = rng.integers(3, size=(2, _ROWS))
    z = rng.normal(size=(2, _ROWS, _LATENTS)) * (1 + u[..., None])
    noise = rng.normal(size=(2, _ROWS, 5))
    perfect = np.concatenate([-2 * z[..., ::-1], 0.01 * noise[..., :2]], axis=-1)
    broken = perfect.copy()
    broken[..., 0], broken[:, 7, 1] = 1.0, math.nan
    importance = np.array([5.0, 4.0, 3.0, 0.2, 0.1])
    randomness = GlobalRandomness()

    def value(codes: NDArray[Any], name: str) -> float | None:
        first, second = (Sample(z[i], codes[i], u[i]) for i in range(2))
        values, notes = plug_in_scores([metric], first, second, importance)
        checks.that(not notes, f"{name}: {notes[0] if notes else ''}")
        return values[metric.name]

    best, chance = value(perfect, "codes that are the latents"), value(noise, "codes that are noise")
    value(broken, "a constant code and one that is not finite")
    checks.that(best == value(perfect, "the same again"), f"{metric.name}: the same codes give another value")
    used = ", ".join(randomness.used())
    checks.that(not used, f"{metric.name} uses the random generator of the whole process ({used})")
    if best is not None and chance is not None and metric.higher_is_better is not None and metric.needs_latents:
        right = best > chance if metric.higher_is_better else best < chance
        better = "higher" if metric.higher_is_better else "lower"
        checks.that(
            right, f"{metric.name}: {better} is better, but the latents themselves score {best:.3g}, noise {chance:.3g}"
        )
    if chance is not None and metric.chance is not None:
        near = abs(chance - metric.chance) <= 0.25 * min(1.0, metric.high - metric.low)
        checks.that(near, f"{metric.name}: its chance level is {metric.chance:g}, but noise scores {chance:.3g}")
    return checks
