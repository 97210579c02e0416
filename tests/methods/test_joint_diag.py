"""Joint diagonalisation against its closed form, a second minimiser and cases in which conditions are unusable."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from nica_bench.dataset import Observations
from nica_bench.method import FitSession
from nica_bench.methods.joint_diag import JointDiag, criterion
from nica_bench.metrics import Sample, score
from nica_bench.seeds import Streams


def sources(seed, n=3, conditions=8, points=1_500, means=0.0):
    generator = np.random.default_rng(seed)
    u = np.repeat(np.arange(conditions), points)
    std = generator.uniform(0.3, 3, (conditions, n))
    centres = means * generator.standard_normal((conditions, n))
    return centres[u] + std[u] * generator.standard_normal((len(u), n)), u


def fitted(x, u, n, **parameters):
    seen = Observations(x, u, x[:10], u[:10], int(u.max()) + 1, n_latents=n)
    return JointDiag(**parameters).fit(seen, Streams(0), FitSession())


def mcc(z, codes, u):
    """In-sample mean correlation coefficient."""
    sample = Sample(z, codes, u)
    return score(sample, sample, np.ones(codes.shape[1]), np.random.default_rng(0)).values["mcc"]


def whitened_covariances(x, u, n):
    values, axes = np.linalg.eigh(np.cov(x, rowvar=False))
    y = (x - x.mean(0)) @ (axes[:, ::-1][:, :n] / np.sqrt(values[::-1][:n]))
    shares = np.bincount(u) / len(u)
    return np.stack([np.cov(y[u == k], rowvar=False, bias=True) for k in range(len(shares))]), shares, y


@pytest.mark.parametrize("means", [0.0, 2.0])
@pytest.mark.parametrize(("n", "D"), [(3, 3), (3, 7), (2, 2), (1, 4)])
def test_linearly_mixed_sources_are_recovered(n, D, means):
    z, u = sources(1, n, means=means)
    generator = np.random.default_rng(2)
    x = z @ generator.standard_normal((n, D)) + 1e-3 * generator.standard_normal((len(z), D))
    fit = fitted(x.astype(np.float32), u, n)
    codes = fit.encode(x, u)
    assert codes.shape == (len(z), n)
    assert mcc(z, codes, u) > 0.995
    np.testing.assert_allclose(codes.std(0), 1, rtol=1e-3)
    np.testing.assert_array_equal(fit.encode(x, (u + 1) % 8), codes)  # the code of a point does not depend on u


def test_the_minimum_is_that_of_another_minimiser():
    """L-BFGS on the criterion with its analytic gradient, from several starts, finds nothing lower."""
    z, u = sources(3, 4, conditions=6)
    generator = np.random.default_rng(4)
    x = np.tanh(z @ generator.standard_normal((4, 4))) + 0.3 * z  # no linear map makes the sources independent
    covariances, shares, y = whitened_covariances(x, u, 4)

    def objective(flat):
        W = flat.reshape(4, 4)
        rows = np.einsum("kjl,il->kij", covariances, W)
        gradient = np.einsum("k,kij,ki->ij", shares, rows, 1 / np.einsum("ij,kij->ki", W, rows))
        return criterion(W, covariances, shares), (gradient - np.linalg.inv(W).T).ravel()

    others = [minimize(objective, generator.standard_normal(16), jac=True, method="L-BFGS-B") for _ in range(8)]
    lowest = min(others, key=lambda found: found.fun)
    fit = fitted(x, u, 4)
    assert fit.training["converged"]
    assert fit.training["criterion"] == pytest.approx(lowest.fun, abs=2e-4)
    agreement = np.abs(np.corrcoef(fit.encode(x, u).T, (y @ lowest.x.reshape(4, 4).T).T)[:4, 4:])
    assert agreement.max(1).min() > 0.999


def test_the_criterion_is_invariant_to_scale_and_order_and_has_its_closed_form():
    generator = np.random.default_rng(5)
    variances = generator.uniform(0.5, 2, (5, 3))
    covariances = np.stack([np.diag(v) for v in variances])
    shares = np.full(5, 0.2)
    expected = 0.5 * np.log(variances).sum(1).mean()
    assert criterion(np.eye(3), covariances, shares) == pytest.approx(expected)
    scaled = np.diag([2.0, -0.5, 7.0])[[2, 0, 1]]
    assert criterion(scaled, covariances, shares) == pytest.approx(expected)
    rotation, _ = np.linalg.qr(generator.standard_normal((3, 3)))
    assert criterion(rotation, covariances, shares) > expected


def test_the_ranking_is_the_std_that_each_code_contributes():
    z, u = sources(6, 2)
    mixing = np.array([[3.0, 0, 4], [0, 0.5, 0]])  # contributions of std 5 and 1/2 times those of the sources
    fit = fitted(z @ mixing, u, 2)
    expected = np.sort(z.std(0) * [5, 0.5])
    np.testing.assert_allclose(np.sort(fit.importance), expected, rtol=0.02)


@pytest.mark.parametrize("case", ["one is empty", "one has a single point", "all are small", "one is constant", "one"])
def test_conditions_without_a_covariance_are_left_out(case):
    z, u = sources(7, 3)
    x = z @ np.random.default_rng(8).standard_normal((3, 3))
    usable = 7
    if case == "one is empty":
        keep = u != 2
    elif case == "one has a single point":
        keep = (u != 2) | (np.cumsum(u == 2) == 1)
    elif case == "all are small":
        keep, usable = np.concatenate([np.flatnonzero(u == k)[:3] for k in range(8)]), 1
    elif case == "one is constant":
        keep, usable = np.arange(len(u)), 8
        x[u == 2] = x[0]
    else:
        keep, usable = np.arange(len(u)), 1
        u = np.zeros_like(u)
    fit = fitted(x[keep], u[keep], 3)
    assert fit.training["conditions_used"] == usable
    codes = fit.encode(x, u)
    assert np.isfinite(codes).all()
    assert (codes.std(0) > 0.5).all()
    if usable >= 7:
        assert mcc(z[u != 2], codes[u != 2], u[u != 2]) > 0.98


def test_more_starts_never_raise_the_criterion():
    z, u = sources(9, 4, conditions=3, points=60)
    x = np.sin(z @ np.random.default_rng(10).standard_normal((4, 4)))
    values = [fitted(x, u, 4, starts=starts).training["criterion"] for starts in (1, 4, 16)]
    assert values == sorted(values, reverse=True)
