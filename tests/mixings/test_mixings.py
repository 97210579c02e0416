import numpy as np
import pytest
import torch

from nica_bench.errors import UsageError
from nica_bench.mixings import MIXINGS, Acceptance, Mixing, Recipe, draw_mixings
from nica_bench.mixings.layers import LeakyReLU, Rotation
from nica_bench.parameters import Range
from nica_bench.seeds import Streams

every_mixing = pytest.mark.parametrize("name", MIXINGS)
OPTIONS = [("realnvp", {"clamp": "tanh"}), ("realnvp", {"scale": 1.2}), ("gin", {"clamp": "tanh", "scale": 0.8})]
every_variant = pytest.mark.parametrize(("name", "options"), [*((n, {}) for n in MIXINGS), *OPTIONS])


def points(count=300, dimensions=6, latents=2, seed=0):
    """Latents in classes and small noise, as in the scenarios."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(-4, 4, (5, latents))[rng.integers(5, size=count)] + 1.2 * rng.standard_normal((count, latents))
    return np.hstack([z, 0.01 * rng.standard_normal((count, dimensions - latents))])


def draw(name, seed=0, dimensions=6, **options):
    return next(draw_mixings(name, Streams(seed), dimensions, **options))


@every_variant
@pytest.mark.parametrize("dimensions", [2, 3, 6])
def test_inverse(name, options, dimensions):
    recipe = MIXINGS[name]
    mixing = recipe.draw(Streams(0).torch("mixing"), dimensions, blocks=4, **options)
    s = points(dimensions=dimensions)
    x, log_det = mixing(s)
    assert x.dtype == log_det.dtype == np.float64
    assert x.shape == s.shape
    assert log_det.shape == (len(s),)
    np.testing.assert_allclose(mixing.inverse(x), s, atol=1e-8)


@every_variant
def test_log_determinant_against_autograd(name, options):
    mixing = MIXINGS[name].draw(Streams(1).torch("mixing"), 5, blocks=3, **options)
    s = points(7, 5)
    _, log_det = mixing(s)

    def whole(column):
        x = column.reshape(1, 5, 1)
        for layer in mixing.layers:
            x, _ = layer(x)
        return x.reshape(5)

    jacobians = [torch.autograd.functional.jacobian(whole, torch.from_numpy(row)) for row in s]
    expected = [torch.linalg.slogdet(j).logabsdet.item() for j in jacobians]
    np.testing.assert_allclose(log_det, expected, atol=1e-10)
    assert mixing.volume_preserving == MIXINGS[name].volume_preserving
    assert mixing.volume_preserving == (np.abs(expected).max() < 1e-10)


@every_mixing
def test_a_seed_gives_one_mixing_and_another_seed_another(name):
    s = points()
    x, again, other = draw(name)(s)[0], draw(name)(s)[0], draw(name, seed=1)(s)[0]
    np.testing.assert_array_equal(x, again)
    assert np.abs(x - other).max() > 0.1
    torch.manual_seed(5)
    np.testing.assert_array_equal(x, draw(name)(s)[0])


def test_points_are_mixed_one_by_one():
    """Chunks do not show: of 10,001 points the last is alone in its chunk."""
    mixing = draw("realnvp")
    s = points(10_001)
    x, log_det = mixing(s)
    np.testing.assert_allclose(x[-1:], mixing(s[-1:])[0], atol=1e-12)
    assert log_det.shape == (10_001,)


def test_depth_and_weights_make_a_mixing_less_linear():
    def residual(**options):
        s, figures = points(2_000), []
        for seed in range(4):
            x, _ = draw(seed=seed, **options)(s)
            design = np.column_stack([np.ones(len(s)), s])
            rest = x - design @ np.linalg.lstsq(design, x)[0]
            figures.append((rest.var(0) / x.var(0)).mean())
        return np.mean(figures)

    assert residual(name="mlp", blocks=1) < 1e-20
    assert 1e-4 < residual(name="mlp", blocks=2) < residual(name="mlp", blocks=12)
    assert residual(name="gin", scale=0.5) < residual(name="gin") / 3
    assert residual(name="realnvp", scale=0.5) < residual(name="realnvp") / 3


def test_presets_are_what_they_say():
    s = points()
    np.testing.assert_array_equal(draw("easy")(s)[0], draw("realnvp")(s)[0])
    np.testing.assert_array_equal(draw("medium")(s)[0], draw("gin", scale=0.9)(s)[0])
    np.testing.assert_array_equal(draw("hard")(s)[0], draw("realnvp", scale=1.2)(s)[0])
    assert MIXINGS["hard"].accepts({"linear_r": 0.85, "max_sd": 49.9})
    assert not MIXINGS["hard"].accepts({"linear_r": 0.951, "max_sd": 1.0})
    assert not MIXINGS["hard"].accepts({"linear_r": 0.9, "max_sd": 50.0})
    assert MIXINGS["medium"].accepts({"linear_r": 0.0, "max_sd": 1e9})


def test_draws_end_with_a_message(monkeypatch):
    recipe = Recipe("mlp", "", acceptance=Acceptance(Range(0.2, 0.3), 1, tries=3))
    monkeypatch.setitem(MIXINGS, "none", recipe)
    draws = draw_mixings("none", Streams(0), 6)
    s = points()
    first, second, third = (next(draws)(s)[0] for _ in range(3))
    assert min(np.abs(first - second).max(), np.abs(second - third).max()) > 0.1
    with pytest.raises(
        UsageError, match=r"mixing=none: none of 3 draws .*linear r in 0.2:0.3, largest sd below 1.*blocks=8"
    ):
        next(draws)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("hard", {"scale": 1.5}, r"mixing=hard takes no scale \(it sets its own, 1\.2\), got scale=1\.5"),
        ("mlp", {"scale": 0.5}, r"mixing=mlp takes no scale \(its layers are orthogonal\)"),
        ("medium", {"clamp": "tanh"}, "mixing=medium takes no clamp, got clamp=tanh; expected clamp=atan"),
    ],
)
def test_options_that_a_mixing_has_no_use_for(name, options, says):
    with pytest.raises(UsageError, match=says):
        MIXINGS[name].check(name, **{"clamp": "atan", "scale": 1.0, **options})


def test_rotations_are_uniform_over_the_orthogonal_group():
    generator = torch.Generator().manual_seed(0)
    matrices = torch.stack([Rotation(generator, 3).matrix[0] for _ in range(1_000)])
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(1_000, 3, 3))
    # Under Haar measure an entry has mean 0 and variance 1/3, and both determinants are equally likely.
    assert matrices.mean(0).abs().max() < 4 * (1 / 3 / 1_000) ** 0.5
    assert (matrices.var(0) - 1 / 3).abs().max() < 0.03
    assert abs((torch.det(matrices) > 0).double().mean() - 0.5) < 0.05


@pytest.mark.parametrize(
    ("make", "says"),
    [(lambda: LeakyReLU(0), "positive slope, got 0"), (lambda: Rotation(torch.Generator(), 0), "got 0")],
)
def test_bad_layers(make, says):
    with pytest.raises(UsageError, match=says):
        make()


def test_a_mixing_is_a_chain_of_layers():
    mixing = Mixing([LeakyReLU(0.5), LeakyReLU(0.5)])
    x, log_det = mixing(np.array([[-4.0, 2.0]]))
    np.testing.assert_allclose(x, [[-1.0, 2.0]])
    np.testing.assert_allclose(log_det, [np.log(0.25)])
