"""Class-wise bases against scipy's maximum-likelihood fits and finite differences."""

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from nica_bench.training.bases import BASES, beta_shapes, entropy_power_sd, gamma_shape
from nica_bench.training.moments import gaussian_losses

R, K, B = 2, 3, 400
U = np.random.default_rng(0).integers(K, size=(R, B))
ONEHOT = torch.from_numpy(np.eye(K)[U]).mT.contiguous()

FAMILIES = {
    # a sampler of v, its log-density in v with log-parameters, and a start for the peer's search
    "gamma": (
        lambda g, k: np.log(g.gamma(1.5 + k, 2.0, B)),
        lambda v, p: stats.loggamma(np.exp(p[0]), loc=p[1]).logpdf(v),
    ),
    "inverse-gamma": (
        lambda g, k: -np.log(g.gamma(1.5 + k, 2.0, B)),
        lambda v, p: stats.loggamma(np.exp(p[0]), loc=p[1]).logpdf(-v),
    ),
    "inverse-gaussian": (
        lambda g, k: np.log(g.wald(1.0 + k, 2.0, B)),
        lambda v, p: stats.invgauss(np.exp(p[0] - p[1]), scale=np.exp(p[1])).logpdf(np.exp(v)) + v,
    ),
    "beta": (
        lambda g, k: (lambda z: np.log(z) - np.log1p(-z))(g.beta(2.0 + k, 1.5, B)),
        lambda v, p: stats.beta(np.exp(p[0]), np.exp(p[1])).logpdf(1 / (1 + np.exp(-v))) - np.logaddexp(0, v) - np.logaddexp(0, -v),
    ),
    "normal": (
        lambda g, k: g.normal(k, 1.0 + k, B),
        lambda v, p: stats.norm(p[1], np.exp(p[0])).logpdf(v),
    ),
}  # fmt: skip


def codes(name, d=2):
    """v, shape (R, d, B), float64: the second code has a hundredth of the first one's spread."""
    sample, _ = FAMILIES[name]
    g = np.random.default_rng(1)
    v = np.zeros((R, d, B))
    for r in range(R):
        for j in range(d):
            drawn = np.stack([sample(g, k) for k in range(K)])
            v[r, j] = drawn[U[r], np.arange(B)] * 0.01**j
    return torch.from_numpy(v)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loss_is_that_of_the_parameters_which_fit_best(name):
    v = codes(name)
    losses = BASES[name](v, ONEHOT)
    _, log_density = FAMILIES[name]
    for r in range(R):
        expected = 0.0
        for k in range(K):
            mine = v[r, 0, U[r] == k].numpy()
            fits = [
                optimize.minimize(lambda p, x=mine: -log_density(x, p).mean(), start, method="Nelder-Mead",
                                  options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}).fun
                for start in ([0.0, 0.0], [1.0, 1.0])
            ]  # fmt: skip
            expected += min(fits) * len(mine) / B
        assert float(losses[r, 0]) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_gradient_is_exact_though_the_parameters_are_found_without(name):
    v = codes(name)[:, :1, :60].clone().requires_grad_()
    onehot = ONEHOT[..., :60]
    assert torch.autograd.gradcheck(lambda x: BASES[name](x, onehot), v, eps=1e-6, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("name", ["gamma", "inverse-gaussian"])
def test_a_code_and_its_mirror_image_have_one_loss(name):
    v = codes(name)
    torch.testing.assert_close(BASES[name](v, ONEHOT), BASES[name](-v, ONEHOT), rtol=1e-12, atol=0)
    assert (BASES[name](v, ONEHOT)[:, 0] < gaussian_losses(v, ONEHOT)[:, 0] - 0.002).all()


@pytest.mark.parametrize("name", BASES)
def test_a_small_code_is_as_good_as_normal_to_every_family(name):
    v = torch.from_numpy(np.random.default_rng(2).normal(0, 0.01, (R, 1, B)))
    torch.testing.assert_close(BASES[name](v, ONEHOT), gaussian_losses(v, ONEHOT), rtol=0, atol=2e-3)
    sd = entropy_power_sd(BASES[name](v, ONEHOT))
    torch.testing.assert_close(sd, torch.full_like(sd, 0.01), rtol=0.08, atol=0)


@pytest.mark.parametrize("name", BASES)
def test_degenerate_classes_leave_finite_losses_and_gradients(name):
    v = codes("normal").float().requires_grad_()
    onehot = torch.zeros(R, K + 2, B)
    onehot[:, 0] = 1
    onehot[:, 0, 0], onehot[:, K, 0] = 0, 1  # one class of a single point, others empty
    flat = torch.cat([v, torch.ones(R, 1, B)], 1)  # and a constant code
    losses = BASES[name](flat, onehot)
    (gradient,) = torch.autograd.grad(losses.sum(), v)
    assert torch.isfinite(losses).all()
    assert torch.isfinite(gradient).all()


def test_shapes_agree_with_scipy():
    for k in (0.3, 1.0, 7.0, 400.0, 5e3):
        s = np.log(k) - float(torch.digamma(torch.tensor(k, dtype=torch.float64)))
        assert float(gamma_shape(torch.tensor(s, dtype=torch.float64))) == pytest.approx(k, rel=1e-6)
    for a, b in ((0.5, 0.7), (2.0, 9.0), (300.0, 20.0), (2e4, 3e4)):
        x = [torch.tensor(t, dtype=torch.float64) for t in (a, b, a + b)]
        t, t_one = torch.digamma(x[0]) - torch.digamma(x[2]), torch.digamma(x[1]) - torch.digamma(x[2])
        mean, variance = x[0] / x[2], x[0] * x[1] / x[2] ** 2 / (x[2] + 1)
        found = beta_shapes(t, t_one, mean, 1.2 * variance)
        assert [float(f) for f in found] == pytest.approx([a, b], rel=1e-5)
