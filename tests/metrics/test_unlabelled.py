"""What is said of codes without a truth: knees of wide spectra, class information, consistency."""

import math

import numpy as np
import pytest

from nica_bench.metrics import (
    METRICS,
    ClassCodes,
    bayes_accuracy,
    class_information,
    consistency,
    estimate_dimension,
    knee_history,
    knee_interval,
    probe_accuracy,
    score_unlabelled,
    within_class_std,
)
from nica_bench.metrics.knee import late_gap, line


def wide(knee, width=200):
    """A spectrum as of images: far-apart first values, a slope, a drop by half at the knee, and a flat tail."""
    ranks = np.arange(width)
    return np.exp(-0.1 * ranks[:knee]).tolist() + (0.4 * math.exp(-0.1 * knee) * np.exp(-0.004 * ranks[knee:])).tolist()


@pytest.mark.parametrize("knee", [8, 14, 22, 40])
def test_the_late_gap_is_the_drop(knee):
    sigma = np.array(wide(knee))
    assert late_gap(sigma) == knee
    sigma[0] *= 100  # a gap among the first five
    sigma[-1] = 1e-9  # and one at the end
    assert late_gap(sigma) == knee
    assert estimate_dimension(sigma)["log-gap"] != knee


def test_the_line_rule_counts_what_stands_above_it():
    sigma = np.exp(-0.01 * np.arange(100.0))
    sigma[:7] *= 1.5
    assert line(sigma) == 7
    sigma[:7] /= 1.5
    assert line(sigma) == 0


@pytest.mark.parametrize("width", [1, 2, 4, 6, 7, 12])
def test_wide_rules_of_narrow_spectra(width):
    sigma = np.linspace(2, 1, width) if width > 1 else np.ones(1)
    found = estimate_dimension(sigma, wide=True)
    assert all(0 <= value <= width for value in found.values())
    assert set(found) > set(estimate_dimension(sigma))


def test_the_interval_holds_the_rules():
    found = estimate_dimension(np.array(wide(22)), wide=True)
    low, high = knee_interval(found)
    assert low <= found["late-gap"] == 22 <= high
    assert low <= found["kneedle"] <= high


def test_without_latents_nothing_is_said_of_them():
    scores = score_unlabelled(np.array(wide(22)), heldout_loss=-2 * math.log(2), published=22)
    assert not any(METRICS[name].needs_latents for name in scores.values)
    assert scores.values["knee"] == 22
    assert scores.values["knee_found"] == 1
    assert scores.values["bits"] == pytest.approx(-2)
    assert score_unlabelled(np.array(wide(22)), published=199).values["knee_found"] == 0
    given = score_unlabelled(np.ones(5), knows_dimension=True, heldout_loss=math.inf)
    assert given.values == {}
    assert given.dimensions == {}


def test_the_knee_is_followed_over_training():
    knees = [40, 8, 14, 16, 15, 15]
    history = {"step": np.arange(6), "spectrum": np.array([wide(k) for k in knees])}
    np.testing.assert_array_equal(knee_history(history)["knee_late-gap"], knees)
    assert score_unlabelled(history["spectrum"][-1], history=history).values["knee_moved"] == 1
    assert "knee_moved" not in score_unlabelled(np.ones(10), history={}).values


def two_classes(rng, count, separation=2.0):
    u = rng.integers(2, size=count)
    codes = rng.normal(size=(count, 6))
    codes[:, 0] += separation * (2 * u - 1) / 2
    return ClassCodes(codes, u)


def test_accuracies_reach_the_best_that_can_be_had():
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    train, test = two_classes(rng, 20_000), two_classes(rng, 20_000)
    for accuracy in (bayes_accuracy, probe_accuracy):
        assert accuracy(train.codes, train.u, test.codes, test.u) == pytest.approx(norm.cdf(1), abs=0.01)


def test_bayes_sees_variances_and_the_probe_does_not():
    rng = np.random.default_rng(1)
    u = rng.integers(2, size=4_000)
    codes = rng.normal(size=(4_000, 1)) * (1 + 9 * u)[:, None]
    half = slice(2_000), slice(2_000, None)
    parts = codes[half[0]], u[half[0]], codes[half[1]], u[half[1]]
    assert bayes_accuracy(*parts) > 0.8
    assert probe_accuracy(*parts) < 0.6


def test_class_information_takes_the_leading_codes():
    rng = np.random.default_rng(2)
    train, test = two_classes(rng, 3_000, 6), two_classes(rng, 3_000, 6)
    first = class_information(train, test, np.array([5.0, 4, 3, 2, 1, 0]), 1)
    assert min(first.values()) > 0.99
    last = class_information(train, test, np.array([0.0, 1, 2, 3, 4, 5]), 1)
    assert last["bayes_knee"] < 0.6
    assert last["probe_knee"] < 0.6
    assert last["bayes"] == first["bayes"]
    train.codes[0, 0] = np.nan  # such a code is left out
    assert class_information(train, test, np.array([5.0, 4, 3, 2, 1, 0]), 1)["bayes"] < 0.6


def test_the_spectrum_is_within_classes():
    rng = np.random.default_rng(3)
    u = np.repeat([0, 1], 50_000)
    codes = rng.normal(size=(100_000, 1)) * np.where(u, 3, 1)[:, None] + 10 * u[:, None]
    assert within_class_std(ClassCodes(codes, u))[0] == pytest.approx(math.sqrt(5), rel=0.01)


def test_consistency_of_the_same_codes_is_one_whatever_their_order_and_scale():
    rng = np.random.default_rng(4)
    u = rng.integers(10, size=2_000)
    a = rng.normal(size=(2_000, 5)) + rng.normal(size=(10, 5))[u]
    b = a[:, [3, 1, 0, 4, 2]] * [2, -1, 0.5, -3, 1] + 7
    found = consistency(a, b, u, np.random.default_rng(0))
    assert found.mcc == pytest.approx(1)
    assert found.within == pytest.approx(1)
    assert found.chance < 0.9


def test_codes_that_share_the_classes_alone_are_at_chance():
    rng = np.random.default_rng(5)
    u = rng.integers(10, size=2_000)
    means = 3 * rng.normal(size=(10, 4))
    a, b = (rng.normal(size=(2_000, 4)) + means[u] for _ in range(2))
    found = consistency(a, b, u, np.random.default_rng(0))
    assert found.mcc > 0.7
    assert found.mcc == pytest.approx(found.chance, abs=0.02)
    assert abs(found.within) < 0.1


def test_consistency_divides_by_the_larger_number_of_codes():
    rng = np.random.default_rng(6)
    a, u = rng.normal(size=(1_000, 4)), np.zeros(1_000, int)
    found = [consistency(*pair, u, np.random.default_rng(0)).mcc for pair in ((a, a[:, :2]), (a[:, :2], a))]
    assert found == pytest.approx([0.5, 0.5])
    assert abs(consistency(a, rng.normal(size=(1_000, 4)), u, rng).mcc) < 0.12


def test_consistency_needs_the_same_rows():
    with pytest.raises(ValueError, match="expected codes of the same images, 4 or more, got 5, 4"):
        consistency(np.zeros((5, 2)), np.zeros((4, 2)), np.zeros(5, int), np.random.default_rng(0))
