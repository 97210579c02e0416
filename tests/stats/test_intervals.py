from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from nica_bench.stats import Estimate, iqm, iqm_interval, mean_interval, median_interval, success_rate

INTERVALS = {
    median_interval: np.median,
    mean_interval: np.mean,
    iqm_interval: lambda values, axis=-1: stats.trim_mean(values, 0.25, axis=axis),
}


@pytest.fixture
def scores():
    return np.random.default_rng(0).beta(5, 2, size=40)


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_match_scipy(interval, scores):
    statistic = INTERVALS[interval]
    ours = interval(scores, resamples=9999)
    peer = stats.bootstrap((scores,), statistic, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    assert ours.value == pytest.approx(statistic(scores))
    assert ours.count == 40
    assert ours.low == pytest.approx(peer.low, abs=0.01)
    assert ours.high == pytest.approx(peer.high, abs=0.01)


@pytest.mark.parametrize("count", range(1, 14))
def test_iqm_is_the_trimmed_mean(count):
    values = np.random.default_rng(count).normal(size=(3, count))
    np.testing.assert_allclose(iqm(values), stats.trim_mean(values, 0.25, axis=1))


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_are_seeded(interval, scores):
    assert interval(scores) == interval(scores)
    assert interval(scores, seed=1) != interval(scores)


@pytest.mark.parametrize("interval", INTERVALS)
def test_one_value_is_its_own_interval(interval):
    estimate = interval([0.3])
    assert estimate == Estimate(0.3, 0.3, 0.3, 1)
    assert estimate.single
    assert not interval([0.3, 0.3]).single


def test_strata_keep_their_shares():
    values = [0.0] * 10 + [1.0] * 30
    strata = ["a"] * 10 + ["b"] * 30
    assert mean_interval(values, strata) == Estimate(0.75, 0.75, 0.75, 40)
    assert mean_interval(values).low < 0.7
    assert mean_interval(values, [5] * 40) == mean_interval(values)


def test_coverage():
    rng = np.random.default_rng(0)
    covered = [e.low <= 0 <= e.high for e in (mean_interval(rng.normal(size=40), resamples=400) for _ in range(400))]
    assert 0.90 <= np.mean(covered) <= 0.975


@pytest.mark.parametrize(("successes", "count"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 10), (17, 20), (500, 1000)])
def test_success_rate_matches_scipy(successes, count):
    estimate = success_rate([0.95] * successes + [0.2] * (count - successes), 0.95)
    peer = stats.binomtest(successes, count).proportion_ci(method="wilson")
    assert estimate.value == successes / count
    assert estimate.low == pytest.approx(peer.low, abs=1e-12)
    assert estimate.high == pytest.approx(peer.high, abs=1e-12)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("function", [*INTERVALS, lambda values: success_rate(values, 0.5)])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"at least one value.*got shape \(0,\)"),
        ([[0.1, 0.2]], r"one dimension, got shape \(1, 2\)"),
        ([0.1, math.nan, math.inf], "got 2 of 3 that are not"),
    ],
)
def test_bad_values_are_named(function, values, message):
    with pytest.raises(ValueError, match=message):
        function(values)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match=r"one stratum per value, shape \(2,\), got \(3,\)"):
        mean_interval([0.1, 0.2], [1, 2, 3])
    with pytest.raises(ValueError, match="at least 1 resample, got 0"):
        mean_interval([0.1, 0.2], resamples=0)


@pytest.mark.parametrize("numbers", [(math.nan, 0, 1, 3), (0.5, 0, math.inf, 3), (0.5, 0.6, 0.4, 3), (0.5, 0, 1, 0)])
def test_an_estimate_checks_itself(numbers):
    with pytest.raises(ValueError, match="expected"):
        Estimate(*numbers)


def test_importing_it_is_as_cheap_as_numpy():
    code = (
        "import sys, nica_bench; base = set(sys.modules); import nica_bench.stats; "
        "new = {name.split('.')[0] for name in set(sys.modules) - base}; "
        "print(sorted(new & {'scipy', 'torch', 'pandas', 'sklearn', 'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
