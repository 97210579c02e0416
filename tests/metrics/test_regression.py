from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from nica_bench.metrics import Assignment, held_out_r2, leakage, r2_affine, slopes


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 2))
    codes = z @ rng.normal(size=(2, 4)) + rng.normal(size=(1000, 4)) + 3
    return codes[:500], z[:500], codes[500:], z[500:]


def test_it_matches_scikit_learn(data):
    a, y, b, target = data
    expected = r2_score(target, LinearRegression().fit(a, y).predict(b), multioutput="raw_values")
    np.testing.assert_allclose(held_out_r2(*data), expected, rtol=1e-9)


def test_any_affine_map_is_perfect():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(400, 3))
    codes = z @ rng.normal(size=(3, 3)) * [1e-200, 1, 1e200] + [0, 5, 0]
    result = r2_affine(codes[:200], z[:200], codes[200:], z[200:], np.ones(3))
    assert result == pytest.approx(1, abs=1e-9)


def test_repeated_dependent_and_unusable_codes_are_safe(data):
    a, y, b, target = data
    unusable = [np.full(500, np.nan), np.full(500, 2.0)]

    def widen(codes):
        twice = codes.astype(np.float32) * np.float32(1 / 3)  # a copy up to the rounding of single precision
        return np.column_stack([codes, twice, codes.sum(axis=1), *unusable])

    np.testing.assert_allclose(held_out_r2(widen(a), y, widen(b), target), held_out_r2(*data), atol=1e-4)


def test_more_codes_than_rows_is_safe():
    rng = np.random.default_rng(2)
    result = held_out_r2(
        rng.normal(size=(20, 50)), rng.normal(size=(20, 2)), rng.normal(size=(30, 50)), rng.normal(size=(30, 2))
    )
    assert np.isfinite(result).all()
    assert (result >= 0).all()


def test_it_is_held_out_and_clipped(data):
    a, y, b, target = data
    np.testing.assert_array_equal(held_out_r2(a, y, -b, target), 0)


def test_a_constant_latent_gives_0(data):
    a, y, b, target = data
    flat = target.copy()
    flat[:, 0] = 1
    result = held_out_r2(a, y, b, flat)
    assert result[0] == 0
    assert result[1] > 0.5


def test_leakage_is_what_the_ranking_left_behind():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(2000, 2))
    codes = np.column_stack([z[:, 0], rng.normal(size=2000), z[:, 1]])
    arguments = codes[:1000], z[:1000], codes[1000:], z[1000:]
    good, bad = np.array([3.0, 1.0, 2.0]), np.array([3.0, 2.0, 1.0])
    assert r2_affine(*arguments, good) == pytest.approx(1)
    assert leakage(*arguments, good) == pytest.approx(0, abs=0.01)
    assert r2_affine(*arguments, bad) == pytest.approx(0.5, abs=0.01)
    assert leakage(*arguments, bad) == pytest.approx(0.5, abs=0.01)


def test_no_other_codes_no_leakage(data):
    a, y, b, target = data
    assert leakage(a[:, :2], y, b[:, :2], target, np.ones(2)) == 0
    assert r2_affine(a[:, :0], y, b[:, :0], target, np.ones(0)) == 0


def test_codes_beyond_the_range_of_arithmetic_are_as_wrong_as_can_be(data):
    a, y, b, target = data
    wild = b.copy()
    wild[3] = 1e300
    np.testing.assert_array_equal(held_out_r2(a, y, wild, target), 0)
    np.testing.assert_allclose(held_out_r2(a * 1e305, y, b * 1e305, target), held_out_r2(*data))


def test_slopes_are_those_of_scipy_and_zero_where_there_is_no_code():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 3)) + 2
    z = np.stack([-0.5 * codes[:, 2] + 1, 3 * codes[:, 0] + rng.normal(size=500), rng.normal(size=500)], 1)
    found = slopes(Assignment((2, 0, -1), (-1, 1, 0)), z, codes)
    assert found[0] == pytest.approx([-0.5, 1.0], abs=1e-12)
    peer = stats.linregress(codes[:, 0], z[:, 1])
    assert found[1] == pytest.approx([peer.slope, peer.intercept], rel=1e-12)
    assert found[2] == pytest.approx([0, z[:, 2].mean()])
    constant = np.ones((500, 1))
    assert slopes(Assignment((0,), (1,)), z[:, :1], constant)[0, 0] == 0
