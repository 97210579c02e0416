from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nica_bench.errors import ContractError
from nica_bench.metrics import METRICS, RULES, Assignment, Sample, Scores, score

IMPORTANCE = np.array([0.9, 0.5, 0.03, 0.02, 0.019, 0.018])


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sample(seed, rows=1500, n=2):
    """Latents whose means depend on one of three conditions."""
    rng = np.random.default_rng(seed)
    u = rng.integers(0, 3, rows)
    means = np.random.default_rng(99).normal(0, 2, size=(3, n))
    return means[u] + rng.normal(size=(rows, n)), u, rng


def scored(make, importance=IMPORTANCE, n=2, **options):
    """Score the codes that `make(z, u, rng)` gives on two samples."""
    parts = []
    for seed in (1, 2):
        z, u, rng = sample(seed, n=n)
        parts.append(Sample(z, make(z, u, rng), u))
    return score(parts[0], parts[1], importance, np.random.default_rng(0), **options)


def padded(z, u, rng):
    return np.column_stack([-3 * z[:, 1], z[:, 0] + 5, rng.normal(size=(len(z), 4))])


def test_perfect_codes():
    result = scored(padded)
    for name in ("mcc", "mcc_best", "mcc_within", "mcc_spearman", "r2_affine", "dimension_correct"):
        assert result.values[name] == pytest.approx(1), name
    assert result.values["leakage"] < 0.01
    assert result.values["dimension"] == 2
    assert result.values["chance"] < 0.05
    assert result.assignment == Assignment((1, 0), (1, -1))
    assert result.correlation.shape == (2, 6)
    assert result.correlation[1, 0] == pytest.approx(-1)
    assert result.notes == []
    assert set(result.dimensions) == set(RULES)
    assert list(result.values) == [m.name for m in METRICS.values() if m.needs_latents or m.name == "dimension"]


def test_single_precision_changes_little():
    a, b = scored(padded), scored(lambda *arguments: padded(*arguments).astype(np.float32))
    for name, value in a.values.items():
        assert b.values[name] == pytest.approx(value, abs=1e-4), name


def test_the_ranking_counts_for_mcc_and_not_for_mcc_best():
    result = scored(padded, importance=IMPORTANCE[::-1])
    assert abs(result.values["mcc"]) < 0.1
    assert result.values["mcc_best"] == pytest.approx(1)
    assert result.values["r2_affine"] < 0.01
    assert result.values["leakage"] == pytest.approx(1)


def test_extra_codes_are_not_free():
    # One latent is ranked first, the other one last: the n codes that count hold only the first.
    result = scored(lambda z, u, rng: np.column_stack([z[:, 0], rng.normal(size=(len(z), 4)), z[:, 1]]))
    assert result.values["mcc"] == pytest.approx(0.5, abs=0.05)
    assert result.values["mcc_within"] == pytest.approx(0.5, abs=0.05)
    assert result.values["mcc_best"] == pytest.approx(1)
    assert result.values["leakage"] > 0.49


def test_too_few_codes():
    result = scored(lambda z, u, rng: z[:, :1], importance=np.ones(1))
    for name in ("mcc", "mcc_best", "mcc_within", "mcc_spearman"):
        assert result.values[name] == pytest.approx(0.5), name
    assert result.notes == ["1 code for 2 latents"]
    nothing = scored(lambda z, u, rng: z[:, :0], importance=np.ones(0))
    assert not any(v for name, v in nothing.values.items() if name != "slope_error")
    assert nothing.notes == ["0 codes for 2 latents"]


def test_one_latent():
    result = scored(lambda z, u, rng: np.exp(-z), importance=np.ones(1), n=1)
    assert 0.2 < result.values["mcc"] < 1
    assert result.values["mcc_spearman"] == pytest.approx(1)
    assert result.assignment == Assignment((0,), (-1,))


def test_a_code_that_is_only_the_class_mean():
    result = scored(lambda z, u, rng: np.column_stack([u == 0, u == 1, u == 2]).astype(np.float32), IMPORTANCE[:3])
    assert result.values["mcc"] > 0.5
    assert result.values["mcc_within"] == 0


def test_monotone_and_even_functions():
    rng = np.random.default_rng(5)
    halves = rng.normal(size=(2, 20_000, 1))
    u = np.zeros(20_000, dtype=int)

    def of(function):
        a, b = (Sample(z, function(z), u) for z in halves)
        return score(a, b, np.ones(1), rng).values

    assert of(lambda z: z**3)["mcc"] == pytest.approx(0.775, abs=0.02)
    assert of(lambda z: z**3)["mcc_spearman"] == pytest.approx(1)
    assert abs(of(lambda z: z**2)["mcc"]) < 0.05
    assert abs(of(lambda z: z**2)["mcc_spearman"]) < 0.05


def test_a_sign_that_does_not_hold_on_test_data_counts_against():
    z, u, _ = sample(1)
    result = score(Sample(z, z, u), Sample(z, -z, u), np.ones(2), np.random.default_rng(0))
    for name in ("mcc", "mcc_best", "mcc_within", "mcc_spearman"):
        assert result.values[name] == pytest.approx(-1), name
    assert result.values["r2_affine"] == 0


def test_chance_is_small_and_seeded():
    first, again = scored(padded), scored(padded)
    assert first.values["chance"] == again.values["chance"]
    assert 0 < first.values["chance"] < 0.05


def test_constant_and_broken_codes_are_noted_and_carry_nothing():
    def make(z, u, rng):
        codes = padded(z, u, rng)
        codes[:, 1] = 7
        codes[3, 4] = np.inf
        codes[:, 5] = np.nan
        return codes

    result = scored(make)
    assert result.notes == ["2 of 6 codes are not finite", "1 of 6 codes is constant"]
    assert result.values["mcc"] == pytest.approx(0.5)
    assert result.assignment == Assignment((-1, 0), (0, -1))
    np.testing.assert_array_equal(result.correlation[:, [1, 4, 5]], 0)


@pytest.mark.parametrize("broken", [0, 1])
def test_broken_in_one_sample_is_broken(broken):
    z, u, _ = sample(1)
    codes = [z.copy(), z.copy()]
    codes[broken][0, 0] = np.nan
    result = score(Sample(z, codes[0], u), Sample(z, codes[1], u), np.ones(2), np.random.default_rng(0))
    assert result.values["mcc"] == pytest.approx(0.5)
    assert result.notes == ["1 of 2 codes is not finite"]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_but_unusable_codes_scores_0(value, dtype):
    result = scored(lambda z, u, rng: np.full((len(z), 6), value, dtype), importance=np.full(6, np.nan))
    assert not any(v for name, v in result.values.items() if name != "slope_error")
    assert not result.correlation.any()
    assert result.assignment.codes == (-1, -1)
    assert any("6 of 6 values of importance" in note for note in result.notes)


def test_a_constant_latent_is_noted():
    z, u, _ = sample(1)
    flat = np.column_stack([z[:, 0], np.ones(len(z))])
    result = score(Sample(flat, z, u), Sample(flat, z, u), np.ones(2), np.random.default_rng(0))
    assert result.values["mcc"] == pytest.approx(0.5)
    assert result.notes == ["1 of 2 latents is constant"]


def test_a_method_that_was_told_estimates_no_dimension():
    result = scored(lambda z, u, rng: z, importance=np.ones(2), knows_dimension=True)
    assert "dimension" not in result.values
    assert "dimension_correct" not in result.values
    assert result.dimensions == {}
    assert result.values["leakage"] == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(0, 5), st.integers(2, 40))
def test_every_score_is_in_its_range(seed, n, m, rows):
    rng = np.random.default_rng(seed)

    def part():
        codes = rng.standard_cauchy(size=(rows, m)) ** 3
        codes[rng.random(codes.shape) < 0.02] = rng.choice([np.nan, np.inf, 1e300])
        return Sample(rng.normal(size=(rows, n)), codes, rng.integers(0, 4, rows))

    result = score(part(), part(), rng.normal(size=m), rng)
    for name, value in result.values.items():
        assert METRICS[name].low <= value <= METRICS[name].high, name
        assert type(value) is float


def test_wrong_shapes_are_named():
    z, u, rng = sample(1, rows=10)
    good = Sample(z, z, u)
    with pytest.raises(ContractError, match=r"expected codes of shape \(10, m\), got \(9, 2\)"):
        Sample(z, z[:9], u)
    with pytest.raises(ContractError, match=r"expected codes of shape \(10, m\), got \(10,\)"):
        Sample(z, z[:, 0], u)
    with pytest.raises(ContractError, match=r"codes of real numbers, got complex128"):
        Sample(z, z + 1j, u)
    with pytest.raises(ContractError, match=r"latents of shape \(N, n\).*got \(10,\)"):
        Sample(z[:, 0], z, u)
    with pytest.raises(ContractError, match=r"integers of shape \(10,\), got float64 of shape \(10,\)"):
        Sample(z, z, u.astype(float))
    with pytest.raises(ContractError, match="finite latents"):
        Sample(z * np.nan, z, u)
    with pytest.raises(ContractError, match=r"importance of shape \(2,\), one value per code, got \(3,\)"):
        score(good, good, np.ones(3), rng)
    with pytest.raises(ContractError, match="2 latents and 1 codes in both samples, got 2 and 2 in validation"):
        score(good, Sample(z, z[:, :1], u), np.ones(1), rng)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mcc": 1.5}, r"expected mcc in \[-1, 1\], got 1.5"),
        ({"mcc": math.nan}, "got nan"),
        ({"other": 0.0}, "name of a metric, got 'other'"),
    ],
)
def test_scores_check_themselves(values, message):
    with pytest.raises(ValueError, match=message):
        Scores(values, {}, Assignment((), ()), np.zeros((1, 1)), np.zeros((0, 2)), [])


def test_scores_refuse_a_correlation_that_is_not_finite():
    with pytest.raises(ValueError, match="expected finite correlations"):
        Scores({}, {}, Assignment((), ()), np.full((1, 1), np.nan), np.zeros((0, 2)), [])


def test_metrics_are_described():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.description
        assert metric.low < metric.high
