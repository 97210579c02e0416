"""Objects with the interface of scikit-learn as methods."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import FastICA

import nica_bench as nb
from nica_bench.api.sources import source_digest
from nica_bench.running.plan import Run
from nica_bench.seeds import Streams


class Mine(TransformerMixin, BaseEstimator):
    def __init__(self, width=3, random_state=None):
        self.width = width
        self.random_state = random_state

    def fit(self, x, u):
        self.noise_ = np.random.default_rng(self.random_state).normal(size=x.shape[1])
        self.seen_ = set(u.tolist())
        self.loss_curve_ = [2.0, 1.0]
        return self

    def transform(self, x):
        return x * self.noise_


class Bare:
    """No parameters, no conditions, and codes of x and u."""

    importance_ = np.array([1.0, 2.0])

    def fit(self, x):
        self.n = len(x)

    def transform(self, x, u=None):
        return x[:, :2]


@pytest.fixture(scope="module")
def data():
    return nb.load("gauss-2of4", conditions=3, samples=400, held_out=200)


def fit(method, data, seed=0):
    return method.fit(data.observations(method.side_information), Streams.of_fit(seed, 0), nb.FitSession())


def key(method):
    return Run(nb.make_scenario("gauss-2of4"), method, 0, 0).spec.key


def test_conditions_are_given_to_whoever_asks_for_them():
    assert nb.wrap(Mine()).side_information == "u"
    assert nb.wrap(Bare()).side_information == ""
    assert nb.wrap(FastICA()).side_information == ""  # fit(X, y=None)
    assert nb.wrap(FastICA(), side_information="n").side_information == "n"
    assert nb.wrap(PLSRegression, side_information="u").side_information == "u"
    with pytest.raises(nb.UsageError, match="fit takes one"):
        nb.wrap(Bare(), side_information="u")
    with pytest.raises(nb.UsageError, match="given u, n or both, got 'z'"):
        nb.wrap(Mine(), side_information="z")


def test_a_clone_is_fitted_with_a_number_from_the_streams(data):
    estimator = Mine()
    method = nb.wrap(estimator)
    fitted, same, other = fit(method, data), fit(method, data), fit(method, data, seed=1)
    assert not hasattr(estimator, "noise_")
    codes = [f.encode(data.test.x, data.test.u) for f in (fitted, same, other)]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[0], codes[2])
    np.testing.assert_array_equal(fitted.importance, fitted.encode(data.train.x, None).std(0))
    np.testing.assert_array_equal(fitted.loss_curve, [2, 1])
    fixed = nb.wrap(Mine(random_state=5))
    np.testing.assert_array_equal(
        fit(fixed, data).encode(data.test.x, None), fit(fixed, data, seed=1).encode(data.test.x, None)
    )


def test_the_ranking_comes_from_where_it_is_said(data):
    np.testing.assert_array_equal(fit(nb.wrap(Bare), data).importance, [1, 2])
    named = nb.wrap(Mine(), importance="noise_")
    function = nb.wrap(Mine(), importance=lambda model: model.noise_)
    np.testing.assert_array_equal(fit(named, data).importance, fit(function, data).importance)
    with pytest.raises(nb.ContractError, match="no such attribute"):
        fit(nb.wrap(Mine(), importance="nothing_"), data)


def test_parameters_and_source_are_in_the_key():
    assert nb.wrap(Mine(width=5)).label == "Mine[width=5]"
    assert nb.wrap(Mine(), name="other").label == "other"
    keys = [key(nb.wrap(e)) for e in (Mine(), Mine(width=5), Mine(random_state=1), Bare())]
    keys += [key(nb.wrap(Mine(), name="other")), key(nb.wrap(Mine(), side_information=""))]
    assert len(set(keys[:5])) == 5
    assert key(nb.wrap(Mine(3))) == keys[0]


def test_a_change_of_the_source_or_of_a_base_is_a_change():
    def made(body, base=object):
        namespace = {"base": base}
        exec(f"class Made(base):\n    def fit(self, x): {body}\n    def transform(self, x): return x", namespace)
        return namespace["Made"]

    first, same, other = made("return 1"), made("return 1"), made("return 2")
    assert source_digest(first) == source_digest(same) != source_digest(other)
    assert source_digest(made("pass", first)) != source_digest(made("pass", other))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [(3, "an object with fit and transform, got int"), (object, "got object")],
)
def test_what_is_no_estimator_is_refused(estimator, message):
    with pytest.raises(nb.UsageError, match=message):
        nb.wrap(estimator)
    with pytest.raises(nb.UsageError, match="letters, digits"):
        nb.wrap(Mine(), name="a b")
