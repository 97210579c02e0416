from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nica_bench.metrics import DEFAULT_RULE, RULES, estimate_dimension, spectrum

NOISE = (0.03, 0.02, 0.019, 0.018, 0.016, 0.015, 0.013, 0.011)
NAMES = {"kneedle", "kneedle-log", "log-gap", "zhu-ghodsi", "threshold"}


def every(value):
    return dict.fromkeys(RULES, value)


def test_the_rules():
    assert set(RULES) == NAMES
    assert DEFAULT_RULE == "kneedle"


def test_a_clear_spectrum_in_any_order():
    values = np.array((0.9, 0.5, *NOISE))
    assert estimate_dimension(values) == every(2)
    assert estimate_dimension(np.random.default_rng(0).permutation(values)) == every(2)


def test_a_plateau_is_not_a_knee_at_its_start():
    values = np.array([0.90, 0.89, 0.88, 0.87, 0.86, *np.linspace(0.025, 0.01, 15)])
    assert estimate_dimension(values) == every(5)


def test_rules_may_disagree():
    values = np.array([1.0, 0.9, 0.06, 0.05, 0.045, 0.04, 0.0001])
    found = estimate_dimension(values)
    assert found["kneedle"] == 2
    assert found["log-gap"] == found["threshold"] == 6


def test_the_default_does_not_depend_on_scale():
    values = np.array((0.9, 0.5, *NOISE))
    assert estimate_dimension(values * 1e-7)["kneedle"] == 2
    assert estimate_dimension(values * 1e7)["kneedle"] == 2


def test_a_straight_line_has_no_knee():
    assert estimate_dimension(np.linspace(1, 0.1, 10))["kneedle"] == 10


def test_zeros_below_the_latents():
    assert estimate_dimension(np.array([1.0, 0.7, 0.6, 0, 0, 0, 0, 0])) == every(3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0),
        ([0.0], 0),
        ([0.7], 1),
        ([np.nan], 0),
        ([0.0, 0.0, 0.0], 0),
        ([-1.0, -2.0], 0),
        ([0.5, 0.5], 2),
        ([0.5] * 7, 7),
    ],
)
def test_spectra_with_one_answer(values, expected):
    assert estimate_dimension(np.array(values)) == every(expected)


def test_equal_values_below_the_threshold():
    assert estimate_dimension(np.full(4, 0.01)) == {**every(4), "threshold": 0}


def test_two_values():
    assert estimate_dimension(np.array([0.9, 0.01])) == {
        "kneedle": 2,  # a line has no knee
        "kneedle-log": 2,
        "log-gap": 1,
        "zhu-ghodsi": 1,
        "threshold": 1,
    }


def test_what_is_not_finite_or_negative_counts_as_zero():
    bad = np.array([np.nan, 0.9, np.inf, -3.0, 0.5, 0.02, -np.inf])
    np.testing.assert_array_equal(spectrum(bad), [0.9, 0.5, 0.02, 0, 0, 0, 0])
    assert estimate_dimension(bad) == estimate_dimension(np.array([0.9, 0.5, 0.02, 0, 0, 0, 0]))


def test_zhu_ghodsi_against_the_likelihood():
    sigma = spectrum(np.random.default_rng(3).lognormal(size=12))
    values = np.log(sigma)
    likelihood = []
    for q in range(1, 12):
        a, b = values[:q], values[q:]
        variance = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / 10
        residual = np.concatenate([a - a.mean(), b - b.mean()])
        likelihood.append((-0.5 * np.log(2 * np.pi * variance) - residual**2 / (2 * variance)).sum())
    assert estimate_dimension(sigma)["zhu-ghodsi"] == int(np.argmax(likelihood)) + 1


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=15))
def test_every_spectrum_has_an_answer(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = estimate_dimension(np.array(values, dtype=np.float64))
    assert set(found) == NAMES
    for value in found.values():
        assert type(value) is int
        assert 0 <= value <= len(values)


def test_a_matrix_is_refused():
    with pytest.raises(ValueError, match=r"importance of shape \(m,\), got \(2, 2\)"):
        estimate_dimension(np.ones((2, 2)))


def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = "{'kneed', 'matplotlib', 'scipy.stats', 'scipy.optimize'}"
    code = (
        "import sys, nica_bench; base = set(sys.modules); "
        f"import nica_bench.metrics; print(sorted({heavy} & (set(sys.modules) - base)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
