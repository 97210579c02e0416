"""Baselines, and the supervised linear reference, which is fitted on the true latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nica_bench.dataset import Floats, Integers, Observations
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["LabelOnly", "LinearOracle", "RawX"]


@dataclass(frozen=True)
class RawX(Method):
    """The observed coordinates themselves, ranked by their standard deviation."""

    name: ClassVar[str] = "raw-x"
    baseline: ClassVar[bool] = True

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Return the identity; nothing is fitted."""

        def encode(x: Floats, u: Integers | None) -> Floats:
            return x

        return Fitted(encode, observations.train_x.std(0))


@dataclass(frozen=True)
class LabelOnly(Method):
    """Codes that depend on the condition alone: the class mean of x, on the principal axes of the class means.

    They have the score of a method that only distinguishes the classes. Within a class they are constant.
    """

    name: ClassVar[str] = "label-only"
    baseline: ClassVar[bool] = True
    side_information: ClassVar[str] = "u"

    def skip(self, scenario: Scenario) -> str | None:
        """One condition says nothing."""
        return "there is one condition, whose label says nothing" if scenario.conditions == 1 else None

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Compute the class means of the training observations."""
        u = observations.train_u
        assert u is not None, "the engine gives u to a method with side information u"
        x = observations.train_x
        counts = np.bincount(u, minlength=observations.conditions)
        sums = np.stack([np.bincount(u, x[:, j], minlength=observations.conditions) for j in range(x.shape[1])], 1)
        means = sums / np.maximum(counts, 1)[:, None] - x.mean(0, dtype=np.float64)
        _, singular, axes = np.linalg.svd(np.sqrt(counts / len(u))[:, None] * means, full_matrices=False)
        codes = means @ axes.T

        def encode(x: Floats, u: Integers | None) -> Floats:
            return np.asarray(codes[u])

        return Fitted(encode, singular)


@dataclass(frozen=True)
class LinearOracle(Method):
    """Supervised linear reference: the linear regression from x to the true latents, fitted on training data."""

    name: ClassVar[str] = "linear-oracle"
    side_information: ClassVar[str] = "nz"

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit by least squares, with an intercept."""
        z = observations.train_z
        assert z is not None, "the engine gives the training latents to a method with side information z"
        x = observations.train_x.astype(np.float64)
        mean = x.mean(0)
        weights, *_ = np.linalg.lstsq(x - mean, z - z.mean(0), rcond=None)

        def encode(x: Floats, u: Integers | None) -> Floats:
            return np.asarray((x - mean) @ weights + z.mean(0))

        return Fitted(encode, np.ones(weights.shape[1]))
