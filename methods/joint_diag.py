"""Joint diagonalisation of the covariances of conditions: linear ICA that uses u, the linear rival of nonlinear ICA."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Floats, Integers, Observations
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["JointDiag"]

RIDGE = 1e-9
"""Share of the identity added to each whitened covariance: a constant direction in a condition stays invertible."""


@dataclass(frozen=True)
class JointDiag(Method):
    """Linear ICA of nonstationary sources by joint diagonalisation.

    x is whitened with its first n principal components; C_k is the covariance of condition k there and p_k the share
    of its points. The codes are W x with the W that minimises

        1/2 sum_k p_k sum_i log (W C_k W^T)_ii - log |det W|,

    the maximum-likelihood criterion for sources that are independent and Gaussian within each condition (Pham and
    Cardoso 2001, IEEE Trans. Signal Process. 49). The minimisation is Pham's
    (2001, SIAM J. Matrix Anal. Appl. 22) as implemented in pyriemann, from the identity and from random rotations;
    the lowest criterion is kept. The codes have unit variance and are ranked by the standard deviation that each
    contributes to x.
    """

    name: ClassVar[str] = "joint-diag"
    side_information: ClassVar[str] = "un"
    default: ClassVar[bool] = False

    starts: int = parameter(4, "starting points: the identity, then random rotations", low=1, high=1000)
    iterations: int = parameter(500, "largest number of sweeps per starting point", low=1)

    def skip(self, scenario: Scenario) -> str | None:
        """Return why images are left out."""
        if scenario.image_shape is not None:
            return "of images, pca is the linear baseline: whitening all of them in double precision takes gigabytes"
        return None

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Whiten the training observations and diagonalise the covariances of their conditions.

        Conditions with fewer than n + 1 points have no invertible covariance and are left out. Where none is left, or
        a single one, the criterion does not fix the rotation, and the record's training facts say so.
        """
        u, n = observations.train_u, observations.n_latents
        assert u is not None, "the engine gives u to a method with side information u"
        assert n is not None, "the engine gives n to a method with side information n"
        x = observations.train_x.astype(np.float64)
        mean = x.mean(0)
        variances, axes = np.linalg.eigh(np.cov(x, rowvar=False))
        std = np.sqrt(np.maximum(variances[::-1][:n], np.finfo(np.float64).tiny))
        whitening = axes[:, ::-1][:, :n] / std
        covariances, shares = _covariances((x - mean) @ whitening, u, observations.conditions)
        generator = streams.numpy("initialisation")
        starts = [np.eye(n), *(_rotation(generator, n) for _ in range(self.starts - 1))]
        found = [_diagonaliser(covariances, shares, start, self.iterations) for start in starts]
        unmixing, criterion, converged = min(found, key=lambda outcome: outcome[1])
        unmixing = unmixing / np.sqrt((unmixing**2).sum(1, keepdims=True))  # whitened: these are unit variances
        weights = whitening @ unmixing.T

        def encode(x: Floats, u: Integers | None) -> Floats:
            return np.asarray((x.astype(np.float64) - mean) @ weights)

        contributions = np.linalg.norm(np.linalg.inv(unmixing).T * std, axis=1)
        facts = {"criterion": float(criterion), "converged": converged, "conditions_used": len(shares)}
        return Fitted(encode, contributions, training=facts)


def _covariances(whitened: Floats, u: Integers, conditions: int) -> tuple[Floats, Floats]:
    """Return the covariances of the usable conditions, shape (K, n, n), and the shares of their points, shape (K,)."""
    n = whitened.shape[1]
    counts = np.bincount(u, minlength=conditions)
    usable = np.flatnonzero(counts > n)
    if not usable.size:
        return np.eye(n)[None], np.ones(1)
    covariances = np.stack([np.atleast_2d(np.cov(whitened[u == k], rowvar=False, bias=True)) for k in usable])
    return covariances + RIDGE * np.eye(n), counts[usable] / counts[usable].sum()


def _rotation(generator: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return a random orthogonal matrix, shape (n, n), uniform (Haar) by the sign-corrected QR decomposition."""
    q, r = np.linalg.qr(generator.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diag(r)))


def _diagonaliser(
    covariances: Floats, shares: Floats, start: NDArray[np.float64], iterations: int
) -> tuple[NDArray[np.float64], float, bool]:
    """Return W, shape (n, n), its criterion, and whether the sweeps converged; the start where they fail."""
    from pyriemann.geometry.ajd import ajd_pham

    if len(start) == 1:
        return start, criterion(start, covariances, shares), True
    rotated = start @ covariances @ start.T
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        diagonaliser, _ = ajd_pham(rotated, n_iter_max=iterations, sample_weight=shares)
    unmixing = np.asarray(diagonaliser) @ start
    if not np.isfinite(unmixing).all() or not np.isfinite(value := criterion(unmixing, covariances, shares)):
        return start, criterion(start, covariances, shares), False
    return unmixing, value, not any("onverge" in str(w.message) for w in caught)


def criterion(unmixing: Floats, covariances: Floats, shares: Floats) -> float:
    """Return 1/2 sum_k p_k sum_i log (W C_k W^T)_ii - log |det W|.

    Args:
        unmixing: W, shape (n, n).
        covariances: C_k, shape (K, n, n).
        shares: p_k, shape (K,), of sum 1.
    """
    diagonals = np.einsum("ij,kjl,il->ki", unmixing, covariances, unmixing)
    return float(0.5 * shares @ np.log(diagonals).sum(1) - np.linalg.slogdet(unmixing)[1])
