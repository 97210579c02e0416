"""Coordinates in which a latent is spread over all of R."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nica_bench.dataset import Floats

__all__ = ["IDENTITY", "LOG", "LOGIT", "Coordinate"]


@dataclass(frozen=True)
class Coordinate:
    """An increasing bijection z -> v of an open interval onto R; arrays of any shape, element by element.

    Args:
        name: v written as a function of z.
        support: the interval.
        forward: v of z; for z in the interval.
        inverse: z of v.
        log_slope: log(dv / dz) as a function of v.
    """

    name: str
    support: tuple[float, float]
    forward: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    log_slope: Callable[[Floats], Floats]

    def inside(self, z: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Which z lie in the open interval."""
        return np.asarray((self.support[0] < z) & (z < self.support[1]))


def _same(value: Floats) -> Floats:
    return value


def _logit(z: Floats) -> Floats:
    # Not log(z / (1 - z)): both logarithms keep their digits next to the ends.
    return np.asarray(np.log(z) - np.log1p(-z))


def _expit(v: Floats) -> Floats:
    from scipy.special import expit  # here, because it takes .2 s to import and every command imports this module

    return np.asarray(expit(v))


def _logit_log_slope(v: Floats) -> Floats:
    from scipy.special import log_expit

    return np.asarray(-log_expit(v) - log_expit(-v))


IDENTITY = Coordinate("z", (-np.inf, np.inf), _same, _same, np.zeros_like)
"""v = z."""

LOG = Coordinate("log z", (0.0, np.inf), np.log, np.exp, np.negative)
"""v = log z, for z > 0."""

LOGIT = Coordinate("logit z", (0.0, 1.0), _logit, _expit, _logit_log_slope)
"""v = log(z / (1 - z)), for 0 < z < 1."""
