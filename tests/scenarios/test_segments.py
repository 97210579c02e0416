"""The field's standard data: moments, dependence, conditioning and mixing of each generator, as their authors say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from nica_bench.errors import UsageError
from nica_bench.method import FitSession
from nica_bench.methods.joint_diag import JointDiag
from nica_bench.metrics import Sample, score
from nica_bench.registry import make_scenario
from nica_bench.scenarios.segments import ACCEPTED, _normalised, _threshold, _well_conditioned
from nica_bench.seeds import Streams

SMALL = {"tcl": "tcl-5of5", "imca": "imca-5of5", "xtanh": "xtanh-5of5", "laplace": "laplace-5of5"}
FEW = "conditions=4,samples=40000,held_out=4000"
every = pytest.mark.parametrize("name", SMALL)


def make(name, seed=0, parameters=FEW):
    return make_scenario(f"{SMALL[name]}[{parameters}]").generate(seed)


@every
def test_segments_have_one_length_and_their_points_no_order(name):
    data = make(name)
    for split, count in zip(data.splits, (10_000, 1_000, 1_000), strict=True):
        np.testing.assert_array_equal(np.bincount(split.u), [count] * 4)
        assert len(np.unique(split.u[:50])) == 4
    assert data.n_latents == data.n_observed == 5


@every
def test_a_seed_gives_one_dataset(name):
    first, again, other = make(name), make(name), make(name, seed=1)
    np.testing.assert_array_equal(first.train.x, again.train.x)
    np.testing.assert_array_equal(first.test.z, again.test.z)
    assert np.abs(first.train.x - other.train.x).max() > 0.1


@pytest.mark.parametrize(("name", "key"), [("tcl", "sds"), ("xtanh", "sds"), ("laplace", "stds")])
def test_sources_have_the_moments_that_the_record_states(name, key):
    """Means within five standard errors, standard deviations within 5 %, correlations within five standard errors."""
    data = make(name)
    stds = np.array(data.truth[key])
    assert stds.shape == (4, 5)
    for split in data.splits:
        for k in range(4):
            z = split.z[split.u == k].astype(float)
            error = 5 / np.sqrt(len(z))
            np.testing.assert_array_less(np.abs(z.mean(0)), error * stds[k] + 1e-6)
            np.testing.assert_allclose(z.std(0), stds[k], rtol=1.5 * error)
            off = np.corrcoef(z.T)[~np.eye(5, dtype=bool)]
            assert np.abs(off).max() < error


@pytest.mark.parametrize(("name", "shape"), [("tcl", "norm"), ("xtanh", "norm"), ("laplace", "laplace")])
def test_sources_have_the_stated_distribution(name, shape):
    data = make(name)
    z = data.test.z[data.test.u == 1].astype(float)
    scale = z.std(0) / (np.sqrt(2) if shape == "laplace" else 1)
    pvalues = [kstest(z[:, i] / scale[i], shape).pvalue for i in range(5)]
    assert min(pvalues) > 1e-3
    other = "norm" if shape == "laplace" else "laplace"
    scale = z.std(0) / (np.sqrt(2) if other == "laplace" else 1)
    assert max(kstest(z[:, i] / scale[i], other).pvalue for i in range(5)) < 0.05


@pytest.mark.parametrize(("name", "low", "high"), [("tcl", 0.01, 3), ("xtanh", 0.5, 3), ("laplace", 0, 1)])
def test_standard_deviations_are_uniform_on_their_range(name, low, high):
    data = make(name, parameters="conditions=200,samples=2000,held_out=200")
    stds = np.array(data.truth["stds" if name == "laplace" else "sds"]).ravel()
    assert kstest(stds, "uniform", (low, high - low)).pvalue > 1e-3


def test_dependent_sources_have_the_precision_of_the_paper():
    data = make("imca", parameters="conditions=3,samples=300000,held_out=3000")
    base, s = np.array(data.truth["base_correlation"]), np.array(data.truth["s"])
    np.testing.assert_allclose(np.diag(base), 1)
    assert np.trace(base) == pytest.approx(5)
    dependent = 0
    for k in range(3):
        expected = np.linalg.inv(np.linalg.inv(base) * 0.5 / 5 + np.diag(1 / s[k] ** 2))
        z = data.train.z[data.train.u == k].astype(float)
        std = np.sqrt(np.diag(expected))
        np.testing.assert_allclose(np.cov(z.T) / np.outer(std, std), expected / np.outer(std, std), atol=0.02)
        dependent = max(dependent, np.abs((expected / np.outer(std, std))[~np.eye(5, dtype=bool)]).max())
    assert dependent > 0.1  # so a test of independence would fail


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_the_orthogonal_mixing_is_leaky_relus_and_rotations(layers):
    scenario = make_scenario(f"tcl-5of5[layers={layers}]")
    mixing = scenario.draw_mixing(Streams(3))
    generator = np.random.default_rng(0)
    z = generator.standard_normal((200, 5))
    x, log_det = mixing(z)
    np.testing.assert_allclose(mixing.inverse(x), z, atol=1e-12)
    if layers == 1:
        np.testing.assert_array_equal(x, z)
    elif layers == 2:
        leaky = np.where(z > 0, z, 0.2 * z)
        rotation, *_ = np.linalg.lstsq(leaky, x, rcond=None)
        np.testing.assert_allclose(leaky @ rotation, x, atol=1e-12)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(5), atol=1e-12)
        np.testing.assert_allclose(log_det, np.log(0.2) * (z < 0).sum(1), atol=1e-12)


def test_the_xtanh_mixing_has_one_matrix_in_all_layers():
    scenario = make_scenario("xtanh-5of5")
    mixing = scenario.draw_mixing(Streams(4))
    z = np.random.default_rng(0).standard_normal((200, 5))
    first, _, second, _, third = mixing.layers
    A = first.matrix.numpy().T
    np.testing.assert_array_equal(second.matrix.numpy(), first.matrix.numpy())
    np.testing.assert_array_equal(third.matrix.numpy(), first.matrix.numpy())
    np.testing.assert_allclose(np.linalg.norm(A, axis=0), 1)

    def xtanh(v):
        return np.tanh(v) + 0.1 * v

    x, log_det = mixing(z)
    np.testing.assert_allclose(x, xtanh(xtanh(z @ A) @ A) @ A, atol=1e-12)
    np.testing.assert_allclose(mixing.inverse(x), z, atol=1e-8)
    step = 1e-6
    jacobian = np.stack([(mixing(z + step * e)[0] - mixing(z - step * e)[0]) / (2 * step) for e in np.eye(5)], 2)
    np.testing.assert_allclose(np.linalg.slogdet(jacobian)[1], log_det, atol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 5, 20])
def test_a_quarter_of_random_matrices_is_well_conditioned_enough(dimensions):
    threshold = _threshold(np.random.default_rng(0), dimensions)
    share = (np.linalg.cond(_normalised(np.random.default_rng(1), 4_000, dimensions)) <= threshold).mean()
    assert abs(share - ACCEPTED / 100) < 0.04
    generator = np.random.default_rng(2)
    assert all(np.linalg.cond(_well_conditioned(generator, dimensions, threshold)) <= threshold for _ in range(20))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tcl-2of5", "expected tcl-2of2"),
        ("tcl-5of5[samples=1001]", "samples is a multiple of the 20 segments, got 1001"),
        ("imca-5of5[held_out=101]", "held_out is a multiple of the 20 segments, got 101"),
        ("xtanh-5of5[slope=0]", "slope is a number > 0"),
        ("tcl-5of5[stds=0:1]", "stds is a range low:high > 0"),
    ],
)
def test_impossible_parameters_are_refused(text, says):
    with pytest.raises(UsageError, match=says):
        make_scenario(text)


@pytest.mark.parametrize(
    ("text", "published"), [("tcl-5of5", 0.90), ("imca-5of5", 0.89), ("tcl-5of5[layers=4]", 0.815)]
)
def test_the_linear_rival_scores_in_sample_as_on_the_authors_data(text, published):
    """Means over ten seeds of the authors' generators, with this repository's joint diagonalisation."""
    found = []
    for seed in range(3):
        data = make_scenario(text).generate(seed)
        fit = JointDiag(starts=1).fit(data.observations("un"), Streams(seed), FitSession())
        sample = Sample(data.train.z, fit.encode(data.train.x, data.train.u), data.train.u)
        found.append(score(sample, sample, np.ones(5), np.random.default_rng(0)).values["mcc"])
    assert np.mean(found) == pytest.approx(published, abs=0.03)
