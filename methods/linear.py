"""Linear methods, by scikit-learn: principal and independent components."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nica_bench.dataset import IMAGE_NOISE, Floats, Integers, Observations
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["PCA", "FastICA"]

PIECE = 10_000
"""Images that are taken to double precision at once."""


@dataclass(frozen=True)
class PCA(Method):
    """Principal components of x, all of them, ranked by their standard deviation."""

    name: ClassVar[str] = "pca"

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit on the training observations."""
        if observations.image_shape is not None:
            return _components_of_images(observations.train_x)
        from sklearn.decomposition import PCA as Components

        model = Components(svd_solver="covariance_eigh").fit(observations.train_x.astype(np.float64))

        def encode(x: Floats, u: Integers | None) -> Floats:
            return np.asarray(model.transform(x.astype(np.float64)))

        return Fitted(encode, np.sqrt(model.explained_variance_))


def _components_of_images(x: Floats) -> Fitted:
    """The same of images, whose whole in double precision may not fit: the covariance is summed piece by piece."""
    D, mean = x.shape[1], x.mean(0, dtype=np.float64)
    scatter = np.zeros((D, D))
    for start in range(0, len(x), PIECE):
        centred = x[start : start + PIECE] - mean
        scatter += centred.T @ centred
    variances, axes = np.linalg.eigh(scatter / (len(x) - 1))
    axes = np.ascontiguousarray(axes[:, ::-1])

    def encode(x: Floats, u: Integers | None) -> Floats:
        return np.asarray((x - mean) @ axes)

    def decode(codes: Floats) -> Floats:
        return np.asarray(codes @ axes.T + mean)

    # ranked as the flows are, by images with their noise: a pixel that never changes is no edge of the spectrum
    sd = np.sqrt(np.maximum(variances[::-1], 0) + IMAGE_NOISE**2)
    return Fitted(encode, sd, decode=decode, weights={"mean": mean, "axes": axes})


@dataclass(frozen=True)
class FastICA(Method):
    """Independent components of the n leading principal ones; told n.

    Ranked by the standard deviation that each component contributes to x.
    """

    name: ClassVar[str] = "fastica"
    side_information: ClassVar[str] = "n"
    version: ClassVar[str] = "2"

    contrast: str = parameter("logcosh", "contrast function", choices=("logcosh", "exp", "cube"))
    iterations: int = parameter(1_000, "most iterations", low=1)

    def skip(self, scenario: Scenario) -> str | None:
        """Images are left to PCA."""
        if scenario.image_shape is not None:
            return "of images, pca is the linear baseline: whitening all of them in double precision takes gigabytes"
        return None

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit on the training observations; a fit that does not converge says so in its record."""
        from sklearn.decomposition import FastICA as Components
        from sklearn.exceptions import ConvergenceWarning

        model = Components(
            n_components=observations.n_latents,
            whiten="unit-variance",
            fun=self.contrast,
            max_iter=self.iterations,
            random_state=int(streams.numpy("initialisation").integers(2**31)),
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(observations.train_x.astype(np.float64))
        converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)

        def encode(x: Floats, u: Integers | None) -> Floats:
            return np.asarray(model.transform(x.astype(np.float64)))

        importance = np.linalg.norm(model.mixing_, axis=0)
        return Fitted(encode, importance, training={"steps": int(model.n_iter_), "converged": converged})
