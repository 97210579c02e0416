import json

import numpy as np
import pytest
from scipy import stats

from nica_bench.errors import ContractError, UsageError
from nica_bench.latents import FAMILIES
from nica_bench.method import Method
from nica_bench.mixings import MIXINGS
from nica_bench.parameters import values_of
from nica_bench.records.store import Store
from nica_bench.registry import make_method, make_scenario, scenario_types
from nica_bench.running.plan import Group, Run
from nica_bench.running.work import Setting, run_group
from nica_bench.seeds import Streams

MIXED = [family for family, scenario in scenario_types().items() if hasattr(scenario, "distribution")]
every_family = pytest.mark.parametrize("family", MIXED)


def make(family, size="2of6", **parameters):
    given = {"samples": 600, "held_out": 300, **parameters}
    return make_scenario(f"{family}-{size}[{','.join(f'{k}={v}' for k, v in given.items())}]")


def noise_of(seed, points, dimensions):
    return 0.01 * Streams(seed).numpy("noise").standard_normal((points, dimensions))


def test_every_family_has_a_scenario():
    assert {scenario_types()[family].distribution for family in MIXED} == set(FAMILIES.values())
    assert set(MIXED) == {"gauss", "lognormal", "inverse-gaussian", "gamma", "inverse-gamma", "beta"}


def test_gauss_keeps_its_keys_and_numbers():
    """Records of gauss from before the other families and mixings were there stay valid."""
    scenario = make_scenario("gauss-2of10[conditions=3,samples=1000,held_out=500]")
    assert scenario.version == "1"
    assert values_of(scenario) == {
        "conditions": 3,
        "samples": 1000,
        "held_out": 500,
        "mixing": "realnvp",
        "blocks": 8,
        "noise": 0.01,
        "spread": "variance",
        "means": "-5:5",
        "spreads": "0.5:3",
    }
    data = scenario.generate(7)
    np.testing.assert_allclose(data.truth["means"][0], [0.037813415719529786, -4.29691336415952], rtol=1e-12)
    np.testing.assert_allclose(data.train.z[0], [3.389692544937134, 1.0243191719055176], rtol=1e-5)
    np.testing.assert_allclose(data.test.x[-1, :4], [0.5817046, 0.6772361, -0.4710410, -1.2496616], rtol=1e-4)
    assert data.difficulty["linear_r"] == pytest.approx(0.9965862, abs=1e-5)


def test_parameters_away_from_their_default_are_in_the_key():
    keys = {
        Run(make("gauss", **given), make_method("pca"), 0, 0).spec.key
        for given in ({}, {"coordinates": "natural"}, {"scale": 0.5}, {"clamp": "tanh"}, {"mixing": "easy"})
    }
    assert len(keys) == 5
    assert values_of(make("gauss", scale=0.5))["scale"] == 0.5


@every_family
@pytest.mark.parametrize("coordinates", ["z", "natural"])
def test_datasets(family, coordinates):
    scenario = make(family, coordinates=coordinates, conditions=4)
    data, again, other = scenario.generate(3), scenario.generate(3), scenario.generate(4)
    assert data.family == data.truth["family"] == scenario.distribution.name
    assert data.coordinates == data.truth["coordinates"] == coordinates
    assert (data.n_latents, data.n_observed, data.conditions) == (2, 6, 4)
    assert json.loads(json.dumps(data.truth)) == data.truth
    np.testing.assert_array_equal(data.train.x, again.train.x)
    assert not np.array_equal(data.train.x, other.train.x)
    # The truth holds the parameters: the family made from it has the likelihood of no other condition.
    parameters = {k: np.array(v) for k, v in data.truth.items() if k in scenario.distribution.__dataclass_fields__}
    truth = scenario.distribution(**parameters)
    z = truth.convert(data.train.z.astype(np.float64), coordinates, "z")
    own = truth.log_density(z, data.train.u).sum(1).mean()
    assert own > truth.log_density(z, (data.train.u + 1) % 4).sum(1).mean() + 1


@every_family
def test_both_coordinates_have_the_same_latents(family):
    z, v = (make(family, coordinates=c).generate(0) for c in ("z", "natural"))
    np.testing.assert_array_equal(z.train.u, v.train.u)
    natural = FAMILIES[z.family].convert(z.train.z.astype(np.float64), "z", "natural")
    np.testing.assert_allclose(natural, v.train.z, rtol=1e-4, atol=1e-4)


def test_the_mixing_and_the_latents_do_not_depend_on_the_number_of_points():
    few, many = (make("gamma", mixing="medium", samples=n).generate(1) for n in (600, 900))
    np.testing.assert_array_equal(few.train.x, many.train.x[:600])
    few_truth, many_truth = ({k: v for k, v in d.truth.items() if k != "oracle_loss"} for d in (few, many))
    assert few_truth == many_truth


@every_family
@pytest.mark.parametrize("coordinates", ["z", "natural"])
def test_the_loss_of_the_truth_is_that_of_the_density_of_x(family, coordinates):
    data = make(family, "2of2", coordinates=coordinates, mixing="easy", samples=2000, held_out=4000).generate(0)
    # No density fits better than the true one: a Gaussian mixture with the class moments of x itself does worse, ...
    x, u = data.validation.x.astype(float), data.validation.u
    fitted = np.zeros(len(x))
    for k in range(data.conditions):
        mine = x[u == k]
        fitted[u == k] = -stats.multivariate_normal(mine.mean(0), np.cov(mine.T)).logpdf(mine)
    loss = data.truth["oracle_loss"]
    assert loss < fitted.mean() / 2 + 0.01
    # ... and a density estimate without a model comes close to it.
    near = np.mean([stats.gaussian_kde(data.train.x[data.train.u == k].T).logpdf(x[u == k].T).mean() for k in range(5)])
    assert 0 < -near / 2 - loss < 0.25


def test_what_was_drawn_is_in_the_truth():
    data = make("gauss", mixing="hard").generate(0)
    mixing = data.truth["mixing"]
    assert (mixing["name"], mixing["scale"], mixing["volume_preserving"]) == ("hard", 1.2, False)
    assert 0.85 <= data.difficulty["linear_r"] <= 0.95
    # The accepted draw is the one that the count says.
    recipe, count = MIXINGS["realnvp"], 0
    sources = np.hstack([np.concatenate([part.z for part in data.splits]), noise_of(0, 1200, 4)])
    for i in range(mixing["rejected"] + 1):
        generator = Streams(0).torch("mixing" if i == 0 else f"mixing {i + 1}")
        x = recipe.draw(generator, 6, blocks=8, scale=1.2)(sources)[0]
        count += not np.allclose(x[:600], data.train.x, rtol=1e-3, atol=1e-3)
    assert count == mixing["rejected"]
    assert make("gauss", mixing="gin", scale=0.7).generate(0).truth["mixing"] == {
        "name": "gin",
        "blocks": 8,
        "clamp": "atan",
        "scale": 0.7,
        "volume_preserving": True,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gama-2of10", "did you mean 'gamma'"),
        ("gamma-2of10[shapes=0:3]", "shapes is a range low:high > 0, got 0:3"),
        ("beta-2of10[coordinates=logit]", "coordinates is one of z, natural, got logit"),
        ("gauss-2of10[mixing=meduim]", "did you mean 'medium'"),
        ("gauss-2of10[mixing=hard,scale=2]", "mixing=hard takes no scale"),
        ("gauss-2of10[scale=0]", "scale is a number > 0, got 0"),
    ],
)
def test_bad_input(text, says):
    with pytest.raises(UsageError, match=says):
        make_scenario(text)


def test_warnings_name_the_condition_of_the_theory_that_is_not_met():
    assert make("gamma").warnings() == []
    assert make("gamma", coordinates="natural", mixing="medium").warnings() == []
    (few,) = make("beta", size="3of6").warnings()
    assert "5 conditions are fewer than the n k + 1 = 7" in few
    (volume,) = make("beta", coordinates="natural", mixing="easy").warnings()
    assert volume.startswith("mixing=easy does not preserve volume")
    assert "gin, medium" in volume


class Told(Method):
    name = "told"
    side_information = "f"

    def fit(self, observations, streams, session):
        raise NotImplementedError


def test_only_a_method_that_declares_it_is_told_the_family():
    data = make("gamma", coordinates="natural").generate(0)
    seen = data.observations(Told.side_information)
    assert (seen.family, seen.coordinates) == ("gamma", "natural")
    blind = data.observations(make_method("gin").side_information)
    assert (blind.family, blind.coordinates) == (None, None)
    with pytest.raises(ContractError, match="side_information is a text of these letters"):
        data.observations("ux")


METHODS = ["gin[steps=20,batch=200]", "ivae[steps=20,batch=200]", "pca", "raw-x", "label-only", "linear-oracle"]


@every_family
@pytest.mark.parametrize("coordinates", ["z", "natural"])
def test_every_method_runs_on_every_family(family, coordinates, tmp_path):
    scenario = make(family, "2of10", coordinates=coordinates, mixing="easy")
    setting = Setting(str(tmp_path / "out"), "cpu", False, ("test",))
    for text in METHODS:
        run = Run(scenario, make_method(text), 0, 0)
        run_group(Group((run,)), setting, lambda kind, value: None)
    records = Store.open(setting.out).scan().records.values()
    assert len(records) == len(METHODS)
    assert {(r.status, r.message) for r in records} == {("ok", "")}
    assert {r.truth["family"] for r in records} == {scenario.distribution.name}
    bound = next(r for r in records if "z" in r.side_information)
    assert bound.scores["mcc"] > 0.7  # x and z belong together


def test_a_part_of_the_data_does_not_lead_to_the_other_parts():
    data = make("gauss").generate(0)
    for part in data.splits:
        for array in (part.x, part.u, part.z):
            assert array.base is None
            assert not array.flags.writeable
