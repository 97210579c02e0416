from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nica_bench.errors import UsageError
from nica_bench.stats import Comparison, Estimate, compare, holm


def test_a_constant_gap_on_datasets_that_differ_widely():
    b = np.random.default_rng(0).uniform(size=10)
    result = compare(b + 0.02, b)
    assert result.median.value == pytest.approx(0.02)
    assert (result.mean.low, result.mean.high) == pytest.approx((0.02, 0.02))
    assert result.improvement == Estimate(1.0, 1.0, 1.0, 10)
    assert result.p_value == pytest.approx(2 / 2**10)
    assert result.count == 10


def test_it_matches_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.3, 1, 30), rng.normal(0, 1, 30)
    result = compare(a, b, resamples=9999)
    peer = stats.bootstrap((a - b,), np.median, method="percentile", rng=np.random.default_rng(2)).confidence_interval
    assert result.p_value == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert result.median.value == pytest.approx(np.median(a - b))
    assert result.median.low == pytest.approx(peer.low, abs=0.05)
    assert result.median.high == pytest.approx(peer.high, abs=0.05)
    assert result.mean.value == pytest.approx(a.mean() - b.mean())
    assert result.improvement.value == np.mean(a > b)


def test_swapping_the_methods_mirrors_the_result():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=15), rng.normal(size=15)
    there, back = compare(a, b), compare(b, a)
    assert there.mean.low == pytest.approx(-back.mean.high)
    assert there.improvement.value == pytest.approx(1 - back.improvement.value)
    assert there.p_value == pytest.approx(back.p_value)


def test_ties_are_a_half():
    assert compare([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 2.0, 5.0]).improvement.value == 0.5
    same = compare([0.4, 0.7], [0.4, 0.7])
    assert same.p_value == 1
    assert same.improvement == Estimate(0.5, 0.5, 0.5, 2)
    assert same.median == Estimate(0.0, 0.0, 0.0, 2)


def test_one_dataset():
    result = compare([0.9], [0.5])
    assert result.p_value == 1
    assert result.median.single


def test_scores_are_aligned_by_seed():
    a, b = {0: 0.9, 1: 0.5, 7: 0.3}, {7: 0.2, 0: 0.8, 1: 0.4}
    assert compare(a, b) == compare([0.9, 0.5, 0.3], [0.8, 0.4, 0.2])
    assert compare(a, b).improvement.value == 1


def test_it_is_seeded():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=20), rng.normal(size=20)
    assert compare(a, b) == compare(a, b)
    assert compare(a, b, seed=1).mean != compare(a, b).mean


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ({0: 1.0, 1: 1.0}, {0: 1.0, 2: 1.0, 3: 1.0}, "the first lacks 2, 3 and the second lacks 1"),
        ({0: 1.0}, {0: 1.0, 2: 1.0}, "same seeds in both, but the first lacks 2$"),
        ({0: 1.0}, [1.0], "got dict and list"),
        ([1.0, 2.0], [1.0], r"got shapes \(2,\) and \(1,\)"),
        ([], [], "at least one score"),
        ({}, {}, "at least one score"),
        ([1.0, math.nan], [math.inf, 1.0], "finite scores, got 2"),
    ],
)
def test_what_cannot_be_compared_is_named(a, b, message):
    with pytest.raises(UsageError, match=message):
        compare(a, b)


def test_a_comparison_checks_itself():
    zero = Estimate(0.0, 0.0, 0.0, 1)
    with pytest.raises(ValueError, match=r"p = 1\.5"):
        Comparison(zero, zero, zero, 1.5)
    with pytest.raises(ValueError, match="probabilities"):
        Comparison(zero, zero, Estimate(2.0, 2.0, 2.0, 1), 0.5)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(holm([0.7, 0.9]), [1, 1])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_a_step_down_bonferroni(values):
    adjusted = holm(values)
    assert (adjusted >= values).all()
    assert (adjusted <= 1).all()
    assert adjusted.min() == min(1.0, min(values) * len(values))
    order = np.argsort(values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


@pytest.mark.parametrize("values", [[1.2], [-0.1], [math.nan], [[0.5]]])
def test_holm_refuses_what_is_no_p_value(values):
    with pytest.raises(ValueError, match=r"expected p values in \[0, 1\]"):
        holm(values)
