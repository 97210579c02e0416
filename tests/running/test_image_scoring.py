"""Records of fits on data whose true latents are unknown."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy.stats import norm

from nica_bench import Fitted, Method
from nica_bench.errors import UsageError
from nica_bench.metrics import METRICS
from nica_bench.records.collection import collect
from nica_bench.records.file import decode_record
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.registry import make_method, make_scenario, method_types
from nica_bench.running.plan import Group, make_runs, unfit
from nica_bench.running.work import Setting, run_group
from nica_bench.seeds import Streams


@dataclass(frozen=True)
class Cheater(Method):
    """Its first code is the label that it is handed with the images."""

    name: ClassVar[str] = "cheater"
    side_information: ClassVar[str] = "u"

    def fit(self, observations, streams, session):
        def encode(x, u):
            return np.hstack([100.0 * u[:, None], x])

        return Fitted(encode, np.arange(65.0)[::-1])


@dataclass(frozen=True)
class Broken(Method):
    """Codes that are not finite."""

    name: ClassVar[str] = "broken"

    def fit(self, observations, streams, session):
        return Fitted(lambda x, u: np.full_like(x, np.nan), np.ones(64))


def outcome(tmp_path, method, training_seeds=1, scenario="digits"):
    runs = make_runs([make_scenario(scenario)], [method], [0], training_seeds)
    run_group(Group(tuple(runs)), Setting(str(tmp_path), "cpu", False, ()), lambda kind, value: None)
    store = Store.open(tmp_path)
    return [store.read(c.spec.key) for c in runs], store


def test_what_needs_latents_is_null_and_no_failure(tmp_path):
    (record,), store = outcome(tmp_path, make_method("pca", {}))
    assert record.status is Status.OK
    for metric in METRICS.values():
        assert not metric.needs_latents or record.scores[metric.name] is None
    assert record.scores["bayes"] > 0.8
    assert record.scores["probe_22"] > 0.9
    assert record.truth["latents"] is None
    text = (store.runs / f"{record.key}.json").read_bytes()
    assert json.loads(text)["scores"]["mcc"] is None
    assert decode_record(text) == record
    assert (record.n_latents, record.n_observed, record.image_shape) == (None, 64, (1, 8, 8))
    assert collect([tmp_path]).records[0].scores == record.scores
    arrays = store.arrays(record.key)
    assert arrays["leading_codes"].shape == (300, 32)
    assert "z" not in arrays
    # PCA's own ranking is over all images, this one within classes
    assert (arrays["test_spectrum"] < 1.3 * arrays["importance"] + 0.02).all()


def test_the_codes_of_two_initialisations_are_of_the_same_images(tmp_path):
    records, store = outcome(tmp_path, make_method("pca", {}), training_seeds=2)
    first, second = (store.arrays(r.key) for r in records)
    np.testing.assert_array_equal(first["leading_u"], second["leading_u"])
    np.testing.assert_array_equal(first["leading_codes"], second["leading_codes"])  # PCA has no initialisation


def test_codes_made_with_the_label_say_nothing_of_the_classes(tmp_path):
    (record,), _ = outcome(tmp_path, Cheater())
    assert record.status is Status.OK
    assert not {"bayes", "bayes_22", "probe_22"} & record.scores.keys()
    assert any("its encoder uses the class" in note for note in record.notes)


def test_codes_that_are_not_finite_are_an_error(tmp_path):
    (record,), _ = outcome(tmp_path, Broken())
    assert record.status is Status.ERROR
    assert "test codes are not finite" in record.message


@pytest.mark.parametrize("name", sorted(method_types()))
def test_every_method_takes_images_or_says_why_not(name):
    method = make_method(name, {})
    reason = unfit(method, make_scenario("digits"))
    assert reason is None or len(reason) > 10
    if "z" in method.side_information:
        assert reason is not None
        assert "true latents" in reason


def test_the_table_says_not_applicable_and_shows_consistency(tmp_path):
    from nica_bench.tables import Query, table_kind

    outcome(tmp_path, make_method("pca", {}), training_seeds=2)
    (table,), _ = table_kind("scores").build(collect([tmp_path]), Query())
    assert table.title == "digits"
    heads = [column.head for column in table.columns]
    (runs,) = table.texts()
    assert runs[heads.index("MCC")] == "n/a"
    assert runs[heads.index("consistency")].startswith("1.000 (")
    assert runs[heads.index("failed")] == "0/0/2"
    assert "scikit-learn's 1,797 digits" in table.caption
    assert "The paper counts" not in table.caption


def test_the_table_holds_the_interval_against_the_published_number(tmp_path, monkeypatch):
    from nica_bench.tables import Query, table_kind

    monkeypatch.setattr("nica_bench.scenarios.images.Digits.paper_knee", 12)
    outcome(tmp_path, make_method("pca", {}), scenario="digits[samples=1000]")  # data that were not made before
    (table,), _ = table_kind("scores").build(collect([tmp_path]), Query())
    assert "The paper counts 12 latents in these data, inside the interval of pca." in table.caption


def test_bits_are_of_images_with_the_same_noise_whatever_a_method_trains_with(tmp_path):
    """Else a method that adds none would have pixels that never change at an infinite density."""
    (with_noise,), _ = outcome(tmp_path / "a", make_method("gin-conv[steps=1,lr=1e-9]"))
    (without,), _ = outcome(tmp_path / "b", make_method("gin-conv[steps=1,lr=1e-9,augmentation=0]"))
    assert without.scores["bits"] == pytest.approx(with_noise.scores["bits"], abs=1e-3)


def test_a_published_number_is_looked_for_in_the_interval_that_is_shown(tmp_path):
    from helpers.results import changed
    from nica_bench.stats import blocks_of
    from nica_bench.tables.unlabelled import unlabelled_rows, unlabelled_table

    records, _ = outcome(tmp_path, make_method("pca"), training_seeds=2)
    given = ({"knee": 14.0, "knee_low": 13.0, "knee_high": 20.0}, {"knee": 17.0, "knee_low": 14.0, "knee_high": 23.0})
    truth = {**records[0].truth, "paper_latents": 22}
    changed = [changed(r, scores={**r.scores, **g}, truth=truth) for r, g in zip(records, given, strict=True)]
    [block], _ = blocks_of(changed)
    assert (
        "22 latents in these data, inside the interval of pca."
        in unlabelled_table("x", unlabelled_rows(block, None)).caption
    )


@pytest.mark.parametrize("label", ["gin-conv[steps=3]", "gin[steps=3]"])
def test_bits_are_of_test_images_under_what_was_learned_from_training_images(tmp_path, label):
    """They are the loss of images that no choice has seen; the class moments of codes are those of training images."""
    method = make_method(label)
    (record,), store = outcome(tmp_path, method)
    data = make_scenario("digits").generate(0)
    encode = method.restore(store.weights(record.key), make_scenario("digits")).encode

    def codes(split, generator):
        return encode(split.x + np.float32(0.01) * generator.standard_normal(split.x.shape, np.float32), split.u)

    train = codes(data.train, Streams(0).numpy("class moments"))
    test = codes(data.test, Streams.of_fit(0, 0).numpy("evaluation noise of the loss"))
    moments = [(train[data.train.u == c].mean(0), train[data.train.u == c].std(0)) for c in range(10)]
    mean, sd = (np.stack(part)[data.test.u] for part in zip(*moments, strict=True))
    assert record.scores["bits"] == pytest.approx(-norm.logpdf(test, mean, sd).mean() / np.log(2), abs=1e-4)
    assert record.scores["bits"] != record.training.get("heldout_loss")


def test_a_model_of_images_is_there_again_from_its_record(tmp_path):
    from nica_bench.figures.image_model import image_model

    (record,), _ = outcome(tmp_path, make_method("gin-conv[steps=3]"))
    model = image_model(collect([tmp_path]), record)
    assert (model.side, model.classes, len(model.u)) == (8, 10, 20)
    np.testing.assert_array_equal(model.u, np.repeat(np.arange(10), 2))
    back = model.images(model.encode(model.x, model.u))
    np.testing.assert_allclose(back.reshape(20, 64), model.x, atol=1e-4)
    data = make_scenario("digits").generate(0)
    means = [model.encode(data.train.x, data.train.u)[data.train.u == c].mean(0) for c in range(10)]
    np.testing.assert_allclose(model.means, means, atol=0.02)  # those of images with noise
    spread = np.sqrt((model.stds**2).mean(0))
    assert (spread[model.order[:5]].min() >= spread[model.order[5:]].max() * 0.8).all()


def test_a_record_without_weights_has_no_model(tmp_path):
    from nica_bench.figures.image_model import image_model
    from nica_bench.records.store import StoreError

    (record,), _ = outcome(tmp_path, make_method("pca"))
    with pytest.raises((StoreError, UsageError)):
        image_model(collect([tmp_path]), record)


def test_initialisations_that_differ_give_whole_numbers_and_the_wider_interval(tmp_path):
    """Half a latent is no number of latents, and of two intervals neither may be hidden."""
    from helpers.results import changed
    from nica_bench.stats import blocks_of
    from nica_bench.tables.unlabelled import unlabelled_rows

    records, _ = outcome(tmp_path, make_method("pca"), training_seeds=2)
    given = ({"knee": 14.0, "knee_low": 9.0, "knee_high": 20.0}, {"knee": 17.0, "knee_low": 12.0, "knee_high": 33.0})
    changed = [changed(r, scores={**r.scores, **g}) for r, g in zip(records, given, strict=True)]
    [block], _ = blocks_of(changed)
    [row] = unlabelled_rows(block, None)
    assert (row["knee"], row["knee_low"], row["knee_high"]) == (14, 9, 33)


def test_the_table_of_knees_has_every_rule_and_their_interval(tmp_path):
    from nica_bench.metrics.knee import INTERVAL_RULES, WIDE_RULES
    from nica_bench.tables import Query, table_kind

    (record,), _ = outcome(tmp_path, make_method("pca"))
    outcome(tmp_path, make_method("ivae[steps=2]"))  # it is given a number and estimates none
    [table], _ = table_kind("knees").build(collect([tmp_path]), Query())
    [runs] = table.texts()
    row = dict(zip([column.head for column in table.columns], runs, strict=True))
    assert {rule: row[rule] for rule in WIDE_RULES} == {rule: str(record.dimensions[rule]) for rule in WIDE_RULES}
    answers = [record.dimensions[rule] for rule in INTERVAL_RULES]
    assert row["interval"] == f"[{min(answers)} {max(answers)}]"
    assert (row["moved"], row["n"]) == ("-", "-")
