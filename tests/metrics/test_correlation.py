from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nica_bench.metrics import correlation, ranks, remove_condition_means, standardise, usable


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_pearson_matches_scipy(rng):
    a = rng.normal(size=(200, 2))
    b = a @ rng.normal(size=(2, 3)) + rng.normal(size=(200, 3))
    expected = [[stats.pearsonr(x, y).statistic for y in b.T] for x in a.T]
    np.testing.assert_allclose(correlation(a, b), expected, atol=1e-12)


def test_spearman_matches_scipy_with_ties(rng):
    a = rng.integers(0, 9, size=(300, 2))
    b = a[:, [1, 0]] + rng.integers(0, 9, size=(300, 2))
    expected = [[stats.spearmanr(x, y).statistic for y in b.T] for x in a.T]
    np.testing.assert_allclose(correlation(ranks(a), ranks(b)), expected, atol=1e-12)
    np.testing.assert_array_equal(ranks(a), stats.rankdata(a, axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-30, -3e7])
def test_a_constant_column_has_no_correlation(rng, dtype, value):
    code = np.full((10_001, 1), value, dtype=dtype)
    noisy = code * (1 + np.finfo(dtype).eps * rng.integers(-1, 2, size=code.shape)).astype(dtype)
    z = rng.normal(size=(10_001, 1))
    assert correlation(z, code) == 0
    assert correlation(code, z) == 0
    assert correlation(z, noisy) == 0
    assert not usable(noisy)
    assert not ranks(noisy).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_column_that_is_not_finite_has_no_correlation_and_spoils_no_other(rng, bad):
    z = rng.normal(size=(100, 2))
    codes = z.copy()
    codes[17, 0] = bad
    np.testing.assert_allclose(correlation(z, codes)[:, 0], 0)
    assert correlation(z, codes)[1, 1] == pytest.approx(1)
    assert not ranks(codes)[:, 0].any()
    assert not remove_condition_means(codes, np.zeros(100, int))[:, 0].any()


@settings(max_examples=50, deadline=None)
@given(st.integers(-250, 250), st.booleans(), st.integers(0, 2**31))
def test_correlation_does_not_depend_on_scale_and_sign_follows(exponent, flip, seed):
    z = np.random.default_rng(seed).normal(size=(50, 1))
    scale = (-1.0 if flip else 1.0) * 10.0**exponent
    assert correlation(z, z * scale) == pytest.approx(-1 if flip else 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([np.float32, np.float64]))
def test_correlation_is_bounded_and_never_nan(seed, dtype):
    rng = np.random.default_rng(seed)
    a = rng.standard_cauchy(size=(5, 4)).astype(dtype)
    a[rng.random(a.shape) < 0.05] = np.nan
    table = correlation(a, a)
    assert np.isfinite(table).all()
    assert np.abs(table).max() <= 1


def test_single_precision_codes(rng):
    z = rng.normal(size=(1000, 1))
    code = (z * 1e-3 + 5).astype(np.float32)
    assert correlation(z, code) == pytest.approx(1, abs=1e-4)
    assert correlation(z, code).dtype == np.float64


def test_cube_and_square_of_a_gaussian(rng):
    z = rng.normal(size=(100_000, 1))
    assert correlation(z, z**3) == pytest.approx(3 / np.sqrt(15), abs=0.02)
    assert correlation(ranks(z), ranks(z**3)) == pytest.approx(1)
    assert correlation(z, z**2) == pytest.approx(0, abs=0.03)


def test_standardised_columns_have_norm_one(rng):
    result = standardise(np.column_stack([rng.normal(3, 2, 50), np.ones(50)]))
    np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-16)
    np.testing.assert_allclose(np.linalg.norm(result, axis=0), [1, 0])


def test_condition_means_are_removed(rng):
    u = np.repeat([0, 3, 7], [10, 1, 20])  # labels need not be consecutive; one condition has one row
    values = rng.normal(size=(31, 2)) + 100.0 * u[:, None]
    residual = remove_condition_means(values, u)
    for label in (0, 3, 7):
        np.testing.assert_allclose(residual[u == label].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(residual[u == 7], values[u == 7] - values[u == 7].mean(axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_function_of_the_condition_leaves_exact_zeros(rng, dtype):
    u = rng.integers(0, 5, 1001)
    code = rng.normal(size=(5, 1)).astype(dtype)[u]
    code *= (1 + np.finfo(dtype).eps * rng.integers(-1, 2, size=code.shape)).astype(dtype)
    assert not remove_condition_means(code, u).any()


def test_arguments_are_left_alone(rng):
    a, u = rng.normal(size=(20, 2)), np.zeros(20, int)
    before = a.copy()
    a.setflags(write=False)
    correlation(a, a), ranks(a), remove_condition_means(a, u)
    np.testing.assert_array_equal(a, before)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"same number of rows, got shapes \(5, 2\) and \(4, 2\)"):
        correlation(np.ones((5, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"conditions of shape \(5,\), got \(4,\)"):
        remove_condition_means(np.ones((5, 2)), np.ones(4, int))
