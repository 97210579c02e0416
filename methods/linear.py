"""Linear methods: principal components and independent components by scikit-learn."""

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
"""The number of images that are converted to double precision at once."""


@dataclass(frozen=True)
class PCA(Method):
    """All principal components of x, ranked by their standard deviation."""

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
    """Return the principal components of images, with the covariance summed over pieces of the data."""
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

    # the spectrum is that of images with noise, as for flows, so that constant pixels do not end it
    std = np.sqrt(np.maximum(variances[::-1], 0) + IMAGE_NOISE**2)
    return Fitted(encode, std, decode=decode, weights={"mean": mean, "axes": axes})


@dataclass(frozen=True)
class FastICA(Method):
    """Independent components of the n leading principal components; it receives n.

    The components are ranked by the standard deviation that each contributes to x.
    """

    name: ClassVar[str] = "fastica"
    side_information: ClassVar[str] = "n"
    version: ClassVar[str] = "2"

    contrast: str = parameter("logcosh", "contrast function", choices=("logcosh", "exp", "cube"))
    iterations: int = parameter(1_000, "largest number of iterations", low=1)

    def skip(self, scenario: Scenario) -> str | None:
        """Return a reason for images, of which `pca` is the linear baseline."""
        if scenario.image_shape is not None:
            return "use pca for images: whitening them in double precision takes gigabytes"
        return None

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit on the training observations; the record says whether the fit converged."""
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
