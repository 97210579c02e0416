"""What is measured where nobody knows the latents."""

import math

import numpy as np
import pytest
from scipy import stats

from nica_bench.metrics import (
    LabelledCodes,
    bayes_accuracy,
    class_information,
    consistency,
    estimate_dimension,
    knee_history,
    knee_interval,
    score_blind,
    within_class_sd,
)

N = 4_000


@pytest.fixture
def labelled():
    rng = np.random.default_rng(0)
    u = rng.integers(0, 4, N)
    codes = rng.normal(0, [1.0, 0.5, 0.1], (N, 3)) + rng.normal(0, 2, (4, 3))[u]
    return codes, u


def test_two_fits_agree_up_to_order_sign_and_scale(labelled):
    codes, u = labelled
    same = consistency(codes, codes[:, [2, 0, 1]] * [-3, 1, 0.2], u, np.random.default_rng(1))
    assert same.mcc == pytest.approx(1)
    assert same.within == pytest.approx(1)
    other = np.random.default_rng(2).normal(size=codes.shape)
    nothing = consistency(codes, other, u, np.random.default_rng(1))
    assert abs(nothing.mcc) < 0.06
    fewer = consistency(codes, codes[:, :2], u, np.random.default_rng(1))
    assert fewer.mcc == pytest.approx(2 / 3), "a code that one fit lacks counts as nothing"


def test_codes_that_share_nothing_but_the_classes_reach_the_chance_level(labelled):
    codes, u = labelled
    shuffled = codes.copy()
    rng = np.random.default_rng(3)
    for c in range(4):
        rows = np.flatnonzero(u == c)
        shuffled[rows] = codes[rng.permutation(rows)]
    found = consistency(codes, shuffled, u, np.random.default_rng(1))
    assert found.mcc == pytest.approx(found.chance, abs=0.05)
    assert found.chance > 0.3
    assert abs(found.within) < 0.1
    with pytest.raises(ValueError, match="expected codes of the same"):
        consistency(codes, codes[:-1], u, rng)


def test_naive_bayes_reaches_the_bayes_rate_of_two_normals():
    rng = np.random.default_rng(0)
    u = rng.integers(0, 2, 40_000)
    codes = rng.normal(size=(40_000, 1)) + 2.0 * u[:, None]
    accuracy = bayes_accuracy(codes[:20_000], u[:20_000], codes[20_000:], u[20_000:])
    assert accuracy == pytest.approx(stats.norm.cdf(1.0), abs=0.01)


def test_class_information_takes_the_leading_codes(labelled):
    codes, u = labelled
    train, test = LabelledCodes(codes[:2000], u[:2000]), LabelledCodes(codes[2000:], u[2000:])
    found = class_information(train, test, np.array([0.1, 1.0, 0.5]), 1)
    assert set(found) == {"bayes", "bayes_knee", "bayes_22", "probe_knee", "probe_22"}
    one = bayes_accuracy(train.codes[:, [1]], train.u, test.codes[:, [1]], test.u)
    assert found["bayes_knee"] == one < found["bayes"] == found["bayes_22"]
    # normal classes of one variance: the linear probe is as good as the density
    assert found["probe_22"] == pytest.approx(found["bayes_22"], abs=0.03)


def test_spectrum_is_the_rms_over_classes(labelled):
    codes, u = labelled
    expected = np.sqrt(np.mean([codes[u == c].var(0) for c in range(4)], axis=0))
    np.testing.assert_allclose(within_class_sd(LabelledCodes(codes, u)), expected)


def test_a_wide_spectrum_has_an_interval_of_knees():
    sigma = np.concatenate([np.geomspace(0.5, 0.1, 15), np.geomspace(0.05, 0.03, 185)])
    found = estimate_dimension(sigma, wide=True)
    low, high = knee_interval(found)
    assert found["late-gap"] == 15
    assert low <= 15 <= high
    assert all(low <= found[rule] <= high for rule in ("kneedle", "late-gap", "line", "zhu-ghodsi"))


def test_what_needs_latents_is_absent_and_the_knee_is_followed():
    sigma = np.concatenate([np.geomspace(0.5, 0.1, 15), np.geomspace(0.05, 0.03, 185)])
    early = np.concatenate([np.geomspace(0.5, 0.1, 10), np.geomspace(0.05, 0.03, 190)])
    history = {"spectrum": np.stack([early, early, early, sigma])}
    np.testing.assert_array_equal(knee_history(history)["knee_late-gap"], [10, 10, 10, 15])
    found = score_blind(sigma, heldout_loss=-2 * math.log(2), history=history, published=15).values
    assert found["bits"] == pytest.approx(-2)
    assert found["knee"] == 15
    assert found["knee_moved"] == 5
    assert found["knee_found"] == 1
    assert "mcc" not in found
    told = score_blind(sigma, knows_dimension=True).values
    assert "knee" not in told
    assert "dimension" not in told
