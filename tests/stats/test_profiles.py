from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nica_bench.stats import iqm_interval, performance_profile


def test_share_is_strictly_above():
    profile = performance_profile([0.2, 0.5, 0.5, 0.9], [0.0, 0.2, 0.5, 0.9, 1.0])
    np.testing.assert_array_equal(profile.share, [1, 0.75, 0.25, 0, 0])
    assert profile.count == 4
    assert (profile.low <= profile.share).all()
    assert (profile.share <= profile.high).all()


def independent_profile(values, strata, thresholds, resamples, rng):
    """The plain way: draw, count, sort, one resample after the other."""
    groups = [values[strata == s] for s in np.unique(strata)]
    curves = []
    for _ in range(resamples):
        drawn = np.concatenate([rng.choice(g, len(g)) for g in groups])
        curves.append([np.mean([d > t for d in drawn]) for t in thresholds])
    curves = np.sort(np.array(curves), axis=0)
    return curves[int(0.025 * resamples)], curves[int(0.975 * resamples)]


def test_bands_agree_with_an_independent_bootstrap():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.beta(8, 2, 12), rng.beta(2, 2, 18)])
    strata = np.repeat([0, 1], [12, 18])
    thresholds = [0.3, 0.5, 0.7, 0.9]
    ours = performance_profile(values, thresholds, strata, resamples=4000)
    low, high = independent_profile(values, strata, thresholds, 2000, np.random.default_rng(1))
    # One step of a share of 30 scores is .033: Monte Carlo error moves an end by a step at most.
    np.testing.assert_allclose(ours.low, low, atol=0.04)
    np.testing.assert_allclose(ours.high, high, atol=0.04)


def test_iqm_intervals_agree_with_an_independent_stratified_bootstrap():
    rng = np.random.default_rng(2)
    a, b = rng.beta(8, 2, 15), rng.beta(2, 2, 25)

    def statistic(a, b, axis=-1):
        return stats.trim_mean(np.concatenate([a, b], axis=axis), 0.25, axis=axis)

    peer = stats.bootstrap((a, b), statistic, method="percentile", rng=np.random.default_rng(3)).confidence_interval
    ours = iqm_interval(np.concatenate([a, b]), np.repeat([0, 1], [15, 25]), resamples=9999)
    assert ours.value == pytest.approx(statistic(a, b))
    assert ours.low == pytest.approx(peer.low, abs=0.005)
    assert ours.high == pytest.approx(peer.high, abs=0.005)


def test_a_stratum_of_one_does_not_move():
    profile = performance_profile([0.1, 0.9], [0.5], [0, 1])
    assert (profile.low, profile.share, profile.high) == ([0.5], [0.5], [0.5])


def test_it_is_seeded():
    values = np.random.default_rng(4).random(20)
    first, again = (performance_profile(values, [0.4, 0.6]) for _ in range(2))
    np.testing.assert_array_equal(first.low, again.low)
    assert (performance_profile(values, np.linspace(0, 1, 50), seed=1).low != performance_profile(
        values, np.linspace(0, 1, 50)).low).any()  # fmt: skip


@pytest.mark.parametrize(
    ("values", "thresholds", "message"),
    [
        ([], [0.5], "at least one value"),
        ([np.nan], [0.5], "finite values"),
        ([0.5], [[0.5]], "thresholds in one dimension"),
        ([0.5], [np.inf], "finite thresholds"),
    ],
)
def test_bad_input_is_named(values, thresholds, message):
    with pytest.raises(ValueError, match=message):
        performance_profile(values, thresholds)
