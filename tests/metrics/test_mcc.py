from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nica_bench.metrics import Assignment, assign, correlation, match, matched_correlation, mean_correlation, top_codes


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=(2000, 3))


def test_permuted_flipped_and_scaled_codes_are_perfect(z):
    codes = z[:, [2, 0, 1]] * [-5.0, 1e-9, 3e6] + [1.0, 0.0, -7.0]
    found = assign(z, codes, range(3))
    assert found == Assignment((1, 2, 0), (1, 1, -1))
    assert mean_correlation(matched_correlation(found, z, codes)) == pytest.approx(1)


def test_a_rotation_by_45_degrees(z):
    codes = z[:, :2] @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    found = assign(z[:1000, :2], codes[:1000], range(2))
    np.testing.assert_allclose(matched_correlation(found, z[1000:, :2], codes[1000:]), np.sqrt(0.5), atol=0.03)


def test_the_sign_is_not_learned_again(z):
    found = assign(z, z, range(3))
    assert mean_correlation(matched_correlation(found, z, z * [1.0, 1.0, -1.0])) == pytest.approx(1 / 3, abs=1e-9)


def test_too_few_codes_cost_the_missing_latents(z):
    found = assign(z, z[:, :1], [0])
    assert found.codes == (0, -1, -1)
    np.testing.assert_allclose(matched_correlation(found, z, z[:, :1]), [1, 0, 0])
    assert assign(z, z[:, :0], []).codes == (-1, -1, -1)


def test_only_candidates_are_used(z):
    assert assign(z, z, [1]).codes == (-1, 1, -1)


def test_an_unusable_code_is_no_match(z):
    codes = z.copy()
    codes[:, 1] = 4
    codes[0, 2] = np.nan
    found = assign(z, codes, range(3))
    assert found == Assignment((0, -1, -1), (1, 0, 0))
    # Without a sign from validation there is nothing to read, however good the code is on other data.
    np.testing.assert_allclose(matched_correlation(found, z, z), [1, 0, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**31))
def test_the_assignment_is_the_best_of_all(latents, codes, seed):
    table = np.random.default_rng(seed).uniform(-1, 1, size=(latents, codes))
    found = match(table, range(codes))
    assert sum(code != -1 for code in found.codes) == min(latents, codes)
    padded = np.hstack([np.abs(table), np.zeros((latents, latents))])
    best = max(
        sum(padded[i, j] for i, j in enumerate(chosen)) for chosen in permutations(range(padded.shape[1]), latents)
    )
    assert found.read(table).sum() == pytest.approx(best)
    assert (found.read(table) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_extra_codes_never_raise_the_score_of_the_chosen(seed):
    rng = np.random.default_rng(seed)
    z, codes = rng.normal(size=(30, 2)), rng.normal(size=(30, 5))
    own, free = match(correlation(z, codes), [0, 1]), match(correlation(z, codes), range(5))
    table = correlation(z, codes)
    assert own.read(table).sum() <= free.read(table).sum() + 1e-12
    assert match(correlation(z, codes[:, :2]), [0, 1]) == own


def test_top_codes():
    importance = np.array([0.1, np.nan, 0.9, 0.9, -1.0, np.inf])
    assert top_codes(importance, 4).tolist() == [2, 3, 0, 4]
    assert top_codes(importance, 6).tolist() == [2, 3, 0, 4, 1, 5]
    assert top_codes(importance[:1], 3).tolist() == [0]
    assert top_codes(importance[:0], 3).tolist() == []


@pytest.mark.parametrize(
    ("codes", "signs", "message"),
    [
        ((0, 1), (1,), "one sign per code, got 2 codes and 1 signs"),
        ((0, 0), (1, 1), r"distinct codes from 0.*got \(0, 0\)"),
        ((-2,), (1,), r"distinct codes from 0.*got \(-2,\)"),
        ((-1,), (1,), r"signs of 1 or -1, and 0 without a code, got \(1,\)"),
        ((3,), (2,), r"signs of 1 or -1"),
    ],
)
def test_an_assignment_checks_itself(codes, signs, message):
    with pytest.raises(ValueError, match=message):
        Assignment(codes, signs)
