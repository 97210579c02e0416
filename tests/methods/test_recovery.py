"""Every built-in method recovers what it claims to, on fixed data where the observed coordinates alone do not.

Fits are short. Each is made from three training seeds and the median counts, so that a float that another processor
rounds otherwise decides nothing.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from helpers.methods import BUILT_IN, fit_each, shortened
from nica_bench.dataset import with_image_noise
from nica_bench.metrics.classes import bayes_accuracy
from nica_bench.metrics.scores import Sample, score
from nica_bench.registry import make_scenario, method_types

METHODS = [method_types()[name]() for name in BUILT_IN]
TRAINING_SEEDS = (0, 1, 2)
EASY = make_scenario("gauss-2of6[samples=3000,held_out=1000,scale=0.8]"), 12
"""Two latents bend and mix with four noise coordinates, and the largest observed coordinates are not the best ones."""
CURVED = make_scenario("gauss-2of5[samples=3000,held_out=1000]"), 26
"""The principal components of x score .73 here: the mixing is far from a rotation."""
DIGITS = make_scenario("digits")


@pytest.fixture(scope="module")
def recovery():
    """Median scores over training seeds, of a method on one of the datasets; each is computed once."""
    datasets, known = {}, {}

    def scores(name, data, **parameters):
        scenario, seed = data
        if scenario not in datasets:
            datasets[scenario] = scenario.generate(seed)
        key = name, scenario, *parameters.items()
        if key not in known:
            known[key] = measured(shortened(name, **parameters), datasets[scenario], seed)
        return known[key]

    return scores


def measured(method, dataset, seed):
    seen = dataset.observations(method.side_information)
    seeds = TRAINING_SEEDS if method.replicated else TRAINING_SEEDS[:1]
    found = []
    for fitted in fit_each(method, [(seed, seen)] * len(seeds), seeds):
        validation, test = (
            Sample(s.z, fitted.encode(s.x, s.u if "u" in method.side_information else None), s.u)
            for s in (dataset.validation, dataset.test)
        )
        found.append(score(validation, test, fitted.importance, np.random.default_rng(0)).values)
    return {name: float(np.median([values[name] for values in found])) for name in ("mcc", "mcc_within")}


def gained(scores, baseline, metric):
    """The share of what the baseline leaves to be recovered: 0 is the baseline, 1 perfect recovery."""
    return (scores[metric] - baseline[metric]) / (1 - baseline[metric])


# Joint diagonalisation is linear and uses the conditions only: tests/methods/test_joint_diag.py has what it recovers.
FIT_EASY = [m for m in METHODS if m.skip(EASY[0]) is None and m.name != "joint-diag"]


@pytest.mark.parametrize("method", FIT_EASY, ids=lambda m: m.name)
def test_latents_are_recovered_beyond_the_observed_coordinates(method, recovery):
    baseline = recovery("raw-x", EASY)
    assert baseline["mcc"] < 0.65, "else there is nothing to gain"
    found = recovery(method.name, EASY, steps=200, batch=300)
    gains = [gained(found, baseline, metric) for metric in ("mcc", "mcc_within")]
    if method.kind() == "baseline":  # the test can fail: what recovers nothing within a condition does
        assert min(gains) <= 0
    else:
        assert gains[0] > 0.7, found
        assert gains[1] > 0.6, found


def test_gin_recovers_latents_of_a_curved_mixing(recovery):
    """Its mcc is .92, within conditions .82; of the observed coordinates .49 and .25; half of the gain is .71 and .53."""
    baseline, untrained = recovery("raw-x", CURVED), recovery("gin", CURVED, steps=1, batch=300)
    found = recovery("gin", CURVED, steps=100, batch=300)
    assert gained(found, baseline, "mcc") > 0.75, found
    assert gained(found, baseline, "mcc_within") > 0.6, found
    assert found["mcc"] > recovery("pca", CURVED)["mcc"] + 0.15
    # The bars lie above what half of the recovery or a flow that has hardly been trained would reach.
    assert gained(untrained, baseline, "mcc") < 0.45
    assert gained(untrained, baseline, "mcc_within") < 0.45


@pytest.fixture(scope="module")
def digits():
    """Digits, and the bits a dimension of validation images under normal densities of the classes, the best of them."""
    data, rng = DIGITS.generate(0), np.random.default_rng(0)
    train, held_out = (with_image_noise(s.x, rng).astype(float) for s in (data.train, data.validation))
    found = []
    for ridge in (1e-4, 3e-4, 1e-3, 3e-3):
        total = 0.0
        for k in range(data.conditions):
            members = train[data.train.u == k]
            covariance = np.cov(members.T) + ridge * np.eye(members.shape[1])
            total -= multivariate_normal(members.mean(0), covariance).logpdf(held_out[data.validation.u == k]).sum()
        found.append(total / held_out.size / math.log(2))
    return data, min(found)


@pytest.mark.parametrize(
    "method", [m for m in METHODS if m.kind() == "method" and m.skip(DIGITS) is None], ids=lambda m: m.name
)
def test_digits_have_a_better_density_than_a_gaussian_or_are_told_apart(method, digits):
    data, gaussian = digits
    method = shortened(method.name, steps=60 if method.large else 300, batch=100)
    (fitted,) = fit_each(method, [(0, data.observations(method.side_information))], [0])
    if fitted.heldout_loss is not None:
        assert fitted.heldout_loss / math.log(2) < gaussian - 0.1
    else:
        leading = np.argsort(-fitted.importance)[:22]
        train, test = (fitted.encode(s.x, None)[:, leading] for s in (data.train, data.test))
        assert bayes_accuracy(train, data.train.u, test, data.test.u) > 0.85  # chance is .1
