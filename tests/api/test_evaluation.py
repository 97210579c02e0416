"""MCC and all metrics of given codes: against closed forms, and against the records of runs."""

import numpy as np
import pytest

import nica_bench as nb
from nica_bench.registry import make_method
from nica_bench.seeds import Streams

SMALL = {"conditions": 3, "samples": 400, "held_out": 200}


@pytest.fixture(scope="module")
def data():
    return nb.load("gauss-2of4", **SMALL)


def test_mcc_of_latents_in_another_order_sign_and_scale_is_one(data):
    z = data.test.z
    assert nb.mcc(z, -3 * z[:, ::-1] + 1) == pytest.approx(1)
    assert nb.mcc(z[:, 0], z[:, 0]) == pytest.approx(1)


def test_mcc_of_a_rotation_is_the_cosine():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 2))
    z = np.linalg.qr(z - z.mean(0))[0]  # uncorrelated, of one scale
    angle = 0.3
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert nb.mcc(z, z @ rotation) == pytest.approx(np.cos(angle))
    assert nb.mcc(z, z[:, :1]) == pytest.approx(0.5)  # one latent has no code
    assert nb.mcc(z, np.ones((500, 2))) == 0


def test_on_the_same_rows_noise_has_an_mcc_and_on_others_none():
    rng = np.random.default_rng(1)
    z, codes = rng.normal(size=(2, 100, 5)), rng.normal(size=(2, 100, 5))
    assert nb.mcc(z[0], codes[0]) > 0.1
    halves = [nb.mcc(z[i], codes[i], validation=(z[1 - i], codes[1 - i])) for i in range(2)]
    assert abs(np.mean(halves)) < 0.1


def test_mcc_says_what_does_not_fit():
    with pytest.raises(nb.ContractError, match=r"codes of shape \(10, m\), got \(9, 2\)"):
        nb.mcc(np.zeros((10, 2)), np.zeros((9, 2)))
    with pytest.raises(nb.ContractError, match="in both samples"):
        nb.mcc(np.eye(10), np.eye(10), validation=(np.eye(10)[:, :3], np.eye(10)))


@pytest.mark.parametrize("name", ["pca", "fastica", "label-only", "ivae[steps=20]"])
def test_evaluate_says_what_the_record_of_a_run_says(tmp_path, name):
    runs = nb.run(
        "gauss-2of4[conditions=3,samples=400,held_out=200]", name, [1], out=tmp_path, progress=False, device="cpu"
    )
    [record] = runs
    data, method = nb.load("gauss-2of4", seed=1, **SMALL), make_method(name)
    fitted = method.fit(data.observations(method.side_information), Streams.of_fit(1, 0), nb.FitSession())
    knows = "n" in method.side_information
    found = nb.evaluate(data, fitted.encode, fitted.importance, knows_dimension=knows, seed=1)
    assert dict(found.scores) == record.scores
    assert dict(found.dimensions) == record.dimensions
    given = [fitted.encode(part.x, part.u) for part in (data.validation, data.test)]
    assert nb.evaluate(data, given, fitted.importance, knows_dimension=knows, seed=1).scores == found.scores


def test_a_function_of_x_and_a_fitted_object_are_taken(data):
    from sklearn.decomposition import PCA

    model = PCA().fit(data.train.x)
    by_object, by_function = nb.evaluate(data, model), nb.evaluate(data, lambda x: model.transform(x))
    assert by_object.scores == by_function.scores
    ranked = nb.evaluate(data, model, np.sqrt(model.explained_variance_))
    assert ranked["mcc"] == pytest.approx(by_object["mcc"])
    assert nb.evaluate(data, [data.validation.z, data.test.z])["mcc"] == pytest.approx(1)


def test_an_evaluation_shows_itself(data):
    found = nb.evaluate(data, lambda x: np.where(np.arange(4) < 3, x, 1.0))
    assert "mcc  " in repr(found)
    assert "note: 1 of 4 codes is constant" in repr(found)
    assert f"{found['mcc']:.3f}" in found._repr_html_()
    plain = found.to_dict()
    assert plain["scores"]["mcc"] == found["mcc"]
    assert np.shape(plain["correlation"]) == (2, 4)


def test_without_latents_what_needs_them_is_not_applicable():
    rng = np.random.default_rng(0)
    u = rng.integers(2, size=600)
    x = rng.normal(size=(600, 3)) + 4 * u[:, None]
    data = nb.Dataset.from_arrays(x, u)
    found = nb.evaluate(data, lambda x: x)
    assert found["mcc"] is None
    assert found["bayes"] > 0.95
    assert found.correlation.shape == (0, 3)
    assert "n/a" in found._repr_html_()


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (lambda x: x[:5], r"shape \(200, codes\), got \(5, 4\)"),
        (lambda x: x + 1j, "need real numbers"),
        ([np.zeros((200, 4)), np.zeros((3, 4))], r"test codes need shape \(200, codes\), got \(3, 4\)"),
    ],
)
def test_codes_that_break_the_contract_are_named(data, codes, message):
    with pytest.raises(nb.ContractError, match=message):
        nb.evaluate(data, codes, np.ones(4))


def test_what_is_no_codes_and_a_ranking_that_does_not_fit(data):
    with pytest.raises(nb.UsageError, match=r"a pair of arrays \(validation, test\), got ndarray"):
        nb.evaluate(data, np.zeros((200, 4)))
    with pytest.raises(nb.ContractError, match=r"importance needs shape \(4,\), got \(3,\)"):
        nb.evaluate(data, lambda x: x, np.ones(3))


def test_a_metric_of_ones_own(data):
    mine = nb.Metric("rows", "number of test rows", 0, 1e6, None, compute=lambda v, t, i: len(t.u))
    assert nb.evaluate(data, lambda x: x, metrics=[mine])["rows"] == 200
