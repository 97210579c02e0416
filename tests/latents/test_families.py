import dataclasses

import numpy as np
import pytest
from scipy import integrate, stats

from nica_bench.errors import UsageError
from nica_bench.latents import FAMILIES, ConditionalGamma, ConditionalNormal
from nica_bench.registry import make_scenario

# The same distribution in scipy, from the parameters of one latent in one condition.
SCIPY = {
    "normal": lambda mean, sd: stats.norm(mean, sd),
    "lognormal": lambda mean, sd: stats.lognorm(sd, scale=np.exp(mean)),
    "inverse-gaussian": lambda mean, shape: stats.invgauss(mean / shape, scale=shape),
    "gamma": lambda shape, scale: stats.gamma(shape, scale=scale),
    "inverse-gamma": lambda shape, scale: stats.invgamma(shape, scale=scale),
    "beta": lambda alpha, beta: stats.beta(alpha, beta),
}
CONDITIONS, LATENTS = 4, 3
every_family = pytest.mark.parametrize("name", FAMILIES)


def drawn(name, seed=0):
    """Parameters from the default ranges of the family's scenario."""
    scenario = make_scenario(f"{'gauss' if name == 'normal' else name}-{LATENTS}of5[conditions={CONDITIONS}]")
    assert scenario.distribution is FAMILIES[name]
    return scenario.draw_family(np.random.default_rng(seed))


def runs(family):
    """(condition, latent, the distribution in scipy) for each."""
    values = [getattr(family, f.name) for f in dataclasses.fields(family)]
    for u, i in np.ndindex(CONDITIONS, LATENTS):
        yield u, i, SCIPY[family.name](*(v[u, i] for v in values))


@every_family
def test_log_density_is_scipys(name):
    family = drawn(name)
    for u, i, peer in runs(family):
        z = peer.ppf(np.linspace(0.0005, 0.9995, 201))
        rows = np.repeat(z[:, None], LATENTS, 1)
        ours = family.log_density(rows, np.full(201, u))[:, i]
        np.testing.assert_allclose(ours, peer.logpdf(z), rtol=1e-10, atol=1e-11)


@every_family
def test_samples_pass_a_kolmogorov_smirnov_test(name):
    family = drawn(name, seed=1)
    u = np.repeat(np.arange(CONDITIONS), 5_000)
    z = family.sample(np.random.default_rng(2), u)
    assert z.shape == (20_000, LATENTS)
    smallest = min(stats.kstest(z[u == c, i], peer.cdf).pvalue for c, i, peer in runs(family))
    assert smallest > 0.01 / (CONDITIONS * LATENTS)
    # The test can fail: another condition's samples don't pass.
    assert stats.kstest(z[u == 0, 0], next(runs(drawn(name, seed=3)))[2].cdf).pvalue < 1e-6
    # No dependence between latents: 1 / sqrt(5000) is .014.
    assert abs(np.corrcoef(z[u == 0].T)[0, 1:]).max() < 0.06


@every_family
def test_density_of_the_natural_coordinate_is_that_of_the_transformed_variable(name):
    family = drawn(name)
    for u, i, peer in runs(family):
        low, high = family.natural(peer.ppf(np.array([1e-12, 1 - 1e-10])))

        def density(v, u=u, i=i):
            return np.exp(family.log_density_natural(np.full((1, LATENTS), v), np.array([u]))[0, i])

        middle = float(family.natural(peer.ppf(np.array([0.3])))[0])
        mass, _ = integrate.quad(density, low, middle, epsabs=1e-10)
        rest, _ = integrate.quad(density, middle, high, epsabs=1e-10)
        assert mass == pytest.approx(0.3, abs=1e-7)
        assert mass + rest == pytest.approx(1, abs=1e-7)


@every_family
def test_exponential_family_form(name):
    """log p(z | u) - log h(z) is affine in T(z) for every u, and in no single one of the statistics."""
    family = drawn(name)
    assert len(family.statistics) == 2
    for u, i, peer in runs(family):
        z = peer.ppf(np.linspace(0.01, 0.99, 99))
        log_density = family.log_density(np.repeat(z[:, None], LATENTS, 1), np.full(99, u))[:, i]
        target = log_density - family.log_base_measure(z)
        statistics = family.sufficient_statistics(z)
        assert statistics.shape == (99, 2)
        design = np.column_stack([np.ones(99), statistics])

        def residual(columns, design=design, target=target):
            part = design[:, columns]
            return np.abs(target - part @ np.linalg.lstsq(part, target)[0]).max()

        assert residual([0, 1, 2]) < 1e-9
        assert min(residual([0, 1]), residual([0, 2])) > 1e-3


@every_family
def test_conversion_between_coordinates(name):
    family = drawn(name)
    z = family.sample(np.random.default_rng(0), np.arange(CONDITIONS).repeat(50))
    v = family.convert(z, "z", "natural")
    np.testing.assert_allclose(family.convert(v, "natural", "z"), z, rtol=1e-12)
    assert family.convert(z, "z", "z") is z
    assert (v == z).all() == (name == "normal")


@every_family
def test_nothing_lies_outside_the_support(name):
    family = drawn(name)
    low, high = family.coordinate.support
    outside = np.array([[e] * LATENTS for e in (low, high, low - 1, high + 1)])
    assert np.isneginf(family.log_density(outside, np.zeros(4, int))).all()


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "normal"])
def test_samples_keep_a_finite_natural_coordinate_in_single_precision(name):
    """Parameters that underflow: a gamma variable of shape 1e-3 is 0 in most draws, a beta one 0 or 1."""
    tiny = np.full((2, 2), 1e-3)
    family = FAMILIES[name](tiny, tiny)
    z = family.sample(np.random.default_rng(0), np.zeros(1_000, int)).astype(np.float32)
    assert np.isfinite(family.natural(z)).all()


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "normal"])
def test_spread_between_and_within_conditions_both_matter(name):
    """Neither swamps the other, in z and in the natural coordinate."""
    for coordinates in ("z", "natural"):
        shares = []
        for seed in range(20):
            family = drawn(name, seed)
            u = np.arange(CONDITIONS).repeat(500)
            z = family.convert(family.sample(np.random.default_rng(seed), u), "z", coordinates)
            means = np.stack([z[u == c].mean(0) for c in range(CONDITIONS)])
            shares.append((means.var(0) / z.var(0)).mean())
        assert 0.15 < np.mean(shares) < 0.9


def test_promises():
    """Table 1 with evidence's reading of the inverse Gaussian: what slope and intercept are in the natural coordinate."""
    expected = {name: family.promise.expected for name, family in FAMILIES.items()}
    assert expected == {
        "normal": "slope free, intercept free",
        "lognormal": "slope free, intercept free",
        "inverse-gaussian": "slope 1, intercept free",
        "gamma": "slope 1, intercept free",
        "inverse-gamma": "slope 1, intercept free",
        "beta": "slope 1 or -1, intercept 0",
    }
    assert FAMILIES["beta"].promise.slope_error(-1.2) == pytest.approx(0.2)
    assert FAMILIES["gamma"].promise.slope_error(-1.2) == pytest.approx(2.2)
    assert FAMILIES["normal"].promise.slope_error(7.0) is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((np.ones((2, 2)), np.ones((2, 3))), r"one shape \(conditions, n\), got \(2, 2\) and \(2, 3\)"),
        ((np.ones(2), np.ones(2)), "one shape"),
        ((np.ones((2, 2)), np.zeros((2, 2))), "scales must be positive, got 0"),
        ((np.full((2, 2), np.nan), np.ones((2, 2))), "shapes must be finite, got nan"),
    ],
)
def test_bad_parameters(values, says):
    with pytest.raises(UsageError, match=says):
        ConditionalGamma(*values)


def test_normal_means_may_be_negative():
    assert ConditionalNormal(-np.ones((2, 2)), np.ones((2, 2))).n_latents == 2
