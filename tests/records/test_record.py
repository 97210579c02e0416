"""What a record says, which types its fields have, and what is refused with which words."""

from __future__ import annotations

import hashlib
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nica_bench.records.file import decode_record, encode_record
from nica_bench.records.plain import plain
from nica_bench.records.record import RECORD_FORMAT, Record, RecordError, RunSpec, Status

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
LEAVES = st.none() | st.booleans() | st.integers() | FINITE | TEXT
JSON = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3), max_leaves=6)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=4)
NATURAL = st.integers(0, 2**80)
SPECS = st.builds(
    RunSpec,
    scenario=NAME,
    scenario_parameters=OBJECTS,
    scenario_version=NAME,
    method=NAME,
    method_parameters=OBJECTS,
    method_version=NAME,
    seed=NATURAL,
    training_seed=NATURAL,
    scenario_label=TEXT,
    method_label=TEXT,
)
ARRAYS = st.fixed_dictionaries(
    {
        "file": NAME,
        "bytes": st.integers(0, 2**63),
        "sha256": st.binary().map(lambda b: hashlib.sha256(b).hexdigest()),
        "names": st.lists(TEXT, max_size=3),
    }
)
RECORDS = st.builds(
    Record.make,
    spec=SPECS,
    status=st.sampled_from(Status),
    side_information=st.sampled_from(["", "u", "un", "uf", "nz"]),
    n_latents=st.none() | st.integers(0, 1000),
    n_observed=st.integers(0, 1000),
    image_shape=st.none() | st.tuples(*[st.integers(1, 100)] * 3),
    message=TEXT,
    notes=st.lists(TEXT, max_size=3),
    kind=st.sampled_from(["method", "baseline", "reference"]),
    truth=OBJECTS,
    difficulty=st.dictionaries(TEXT, FINITE | st.none(), max_size=3),
    scores=st.dictionaries(TEXT, FINITE | st.none(), max_size=3),
    dimensions=st.dictionaries(TEXT, st.integers(0, 2**40), max_size=3),
    training=OBJECTS,
    cost=st.dictionaries(TEXT, FINITE | st.integers(0, 2**60) | st.none(), max_size=3),
    provenance=OBJECTS,
    arrays=st.none() | ARRAYS,
)


def make_spec(**changes):
    values = {
        "scenario": "gauss-2of10",
        "scenario_parameters": {"conditions": 3, "samples": 1000, "range": (0.1, 2.0)},
        "scenario_version": "1",
        "method": "ivae",
        "method_parameters": {"lr": 1e-3},
        "method_version": "2",
        "seed": 4,
        "training_seed": 0,
    }
    return RunSpec(**{**values, **changes})


DATA = {"n_latents": 2, "n_observed": 10, "image_shape": None}


def make_record(**changes):
    fields = {"spec": make_spec(), "status": Status.OK, "side_information": "u", **DATA}
    return Record.make(**{**fields, **changes})


def through_text(record):
    return decode_record(encode_record(record))


def decoded(**changes):
    """A record from the JSON of a good one with some fields changed; None: the field is taken away."""
    value = make_record().to_json()
    for name, change in changes.items():
        if change is None:
            del value[name]
        else:
            value[name] = change
    return decode_record(json.dumps(value).encode())


# The key


def test_canonical_is_sorted_and_has_no_labels():
    text = make_spec(scenario_label="gauss-2of10[conditions=3]").canonical()
    assert text == (
        '{"init":0,"method":"ivae","method_parameters":{"lr":0.001},"method_version":"2","scenario":"gauss-2of10",'
        '"scenario_parameters":{"conditions":3,"range":[0.1,2.0],"samples":1000},"scenario_version":"1","seed":4}'
    )


def test_key_is_pinned():
    spec = make_spec()
    assert spec.key == hashlib.sha256(spec.canonical().encode()).hexdigest()
    assert spec.key == "95a47ad4abde3b6ddfcd785902356413610c6e911f62ede64f306ae1584b3292"
    assert spec.short == spec.key[:12]


def test_numbers_and_letters_of_the_key_are_those_of_format_1():
    spec = make_spec(method_parameters={"lr": 1e-5, "big": 1e22, "name": "ü", "many": 2**70})
    assert '"big":1e+22,"lr":1e-05,"many":1180591620717411303424,"name":"\\u00fc"' in spec.canonical()


@pytest.mark.parametrize(
    "changes",
    [
        {"scenario": "gauss-3of10"},
        {"scenario_parameters": {"conditions": 4}},
        {"scenario_version": "1.1"},
        {"method": "gin"},
        {"method_parameters": {"lr": 1e-2}},
        {"method_version": "3"},
        {"seed": 5},
        {"training_seed": 1},
    ],
)
def test_key_depends_on_everything_but_labels(changes):
    assert make_spec(**changes).key != make_spec().key
    assert make_spec(**changes) != make_spec()


def test_equal_specs():
    ordered = make_spec(scenario_parameters={"samples": 1000, "range": [0.1, 2.0], "conditions": 3})
    numpy = make_spec(seed=np.int64(4), method_parameters={"lr": np.float64(1e-3)}, method_label="other")
    assert make_spec() == ordered == numpy
    assert len({make_spec(), ordered, numpy}) == 1
    assert make_spec() != "spec"


def test_labels_default_to_names():
    spec = make_spec(method_label="ivae[lr=0.001]")
    assert (spec.scenario_label, spec.method_label) == ("gauss-2of10", "ivae[lr=0.001]")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method_parameters": {"lr": math.nan}}, "parameter 'lr': expected a finite JSON value, got nan"),
        ({"scenario_parameters": {"b": 1, "a": [1, math.inf]}}, r"parameter 'a': .* value, got \[1, inf\]"),
        ({"method_parameters": {"a": print}}, "parameter 'a': expected a finite JSON value, got <built-in"),
    ],
)
def test_a_parameter_that_is_no_json_has_no_key(changes, message):
    with pytest.raises(RecordError, match=message):
        make_spec(**changes).key  # noqa: B018


# Made in code


@given(RECORDS)
def test_json_round_trip(record):
    again = through_text(record)
    assert again == record
    assert again.to_json() == record.to_json()
    assert again.key == record.key == again.spec.key
    assert again.truth == record.truth
    assert again.spec.scenario_label == record.spec.scenario_label
    assert pickle.loads(pickle.dumps(record)) == record


def test_numpy_values_are_converted():
    record = make_record(
        status="ok",
        side_information="nu",
        image_shape=(np.int64(1), 2, 5),
        scores={"mcc": np.float32(0.5), "chance": np.float64(0.25), "one": np.int64(1), "long": np.longdouble(0.5)},
        dimensions={"knee": np.int32(2)},
        truth={"family": np.str_("gauss"), "means": np.arange(4.0).reshape(2, 2), "pair": (np.uint8(1), np.bool_(0))},
    )
    assert record.status is Status.OK
    assert record.scores == {"mcc": 0.5, "chance": 0.25, "one": 1.0, "long": 0.5}
    assert record.truth == {"family": "gauss", "means": [[0.0, 1.0], [2.0, 3.0]], "pair": [1, False]}
    assert {type(v) for v in record.scores.values()} == {float}
    assert (record.side_information, record.image_shape) == ("un", (1, 2, 5))
    assert through_text(record) == record


@pytest.mark.parametrize("name", ["truth", "difficulty", "training", "cost", "provenance"])
@pytest.mark.parametrize("value", [math.nan, -math.inf, np.float32("inf")])
def test_non_finite_becomes_null(name, value):
    record = make_record(**{name: {"a": value, "b": 1.5}})
    assert getattr(record, name) == {"a": None, "b": 1.5}
    assert through_text(record) == record


def test_deep_non_finite_becomes_null():
    training = make_record(training={"curve": [1.0, {"x": np.array([np.nan, 2.0])}]}).training
    assert training == {"curve": [1.0, {"x": [None, 2.0]}]}


def test_text_that_is_not_unicode_is_written_as_its_escape():
    record = make_record(message="no file é\udcff", provenance={"command": ["a\udcfe"]})
    assert record.message == "no file é\\udcff"
    assert record.provenance == {"command": ["a\\udcfe"]}
    assert through_text(record) == record


def test_whether_latents_are_known_is_said_by_their_number():
    assert make_record().labelled
    assert not make_record(n_latents=None, n_observed=784, image_shape=(1, 28, 28)).labelled


def test_a_record_shares_nothing_with_what_it_was_made_of():
    scores, parameters = {"mcc": 0.5}, {"widths": [8, 8]}
    record = make_record(scores=scores, spec=make_spec(method_parameters=parameters))
    scores["mcc"] = 0.9
    parameters["widths"].append(8)
    record.to_json()["scores"]["mcc"] = 0.1
    assert record.scores == {"mcc": 0.5}
    assert record.spec.key == record.key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": make_spec(scenario="")}, r"Expected `str` of length >= 1 - at `\$\.spec\.scenario`"),
        ({"spec": make_spec(method=3)}, r"Expected `str`, got `int` - at `\$\.spec\.method`"),
        ({"spec": make_spec(seed=-1)}, r"Expected `int` >= 0 - at `\$\.spec\.seed`"),
        ({"status": "fine"}, r"Invalid enum value 'fine' - at `\$\.status`"),
        ({"status": None}, r"Expected `str`, got `null` - at `\$\.status`"),
        ({"kind": "bound"}, r"Invalid enum value 'bound' - at `\$\.kind`"),
        ({"n_latents": -1}, r"Expected `int` >= 0 - at `\$\.n_latents`"),
        ({"n_observed": None}, r"Expected `int`, got `null` - at `\$\.n_observed`"),
        ({"image_shape": (28, 28)}, r"Expected `array` of length 3 - at `\$\.image_shape`"),
        ({"message": None}, r"Expected `str`, got `null` - at `\$\.message`"),
        ({"notes": "text"}, r"Expected `array`, got `str` - at `\$\.notes`"),
        ({"notes": [1]}, r"Expected `str`, got `int` - at `\$\.notes\[\.*0?\.*\]`"),
        ({"side_information": "ux"}, "'side_information': .*letters, such as 'un', got 'ux'"),
        ({"side_information": {"u": True}}, "'side_information': .*letters, such as 'un', got {'u': True}"),
        ({"scores": {"mcc": math.nan}}, r"'scores\.mcc': expected a finite number, got nan"),
        ({"scores": {"mcc": np.float32("inf")}}, r"'scores\.mcc': expected a finite number, got .*inf"),
        ({"scores": {"mcc": 10**400}}, r"'scores\.mcc': expected a finite number, got 1000"),
        ({"scores": {"mcc": True}}, r"Expected `float \| null`, got `bool` - at `\$\.scores"),
        ({"scores": {"mcc": "1"}}, r"Expected `float \| null`, got `str` - at `\$\.scores"),
        ({"difficulty": {"a": "hard"}}, r"Expected `float \| null`, got `str` - at `\$\.difficulty"),
        ({"dimensions": {"knee": 2.5}}, r"Expected `int`, got `float` - at `\$\.dimensions"),
        ({"training": {"f": print}}, "expected a JSON value, but objects of type builtin_function_or_method are none"),
        ({"arrays": {"file": "a.npz"}}, r"missing required field `bytes` - at `\$\.arrays`"),
        (
            {"arrays": {"file": "a", "bytes": 1, "sha256": "0", "names": []}},
            r"matching regex .* at `\$\.arrays\.sha256",
        ),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_bad_record(changes, message):
    with pytest.raises(RecordError, match=message):
        make_record(**changes)


def test_plain_values_name_what_cannot_be_one():
    assert plain({"a": (np.float64(1), {"b": np.arange(2)}), "c": math.inf}, "facts") == {
        "a": [1.0, {"b": [0, 1]}],
        "c": None,
    }
    with pytest.raises(RecordError, match="facts: expected a JSON value, but objects of type object are none"):
        plain({"a": object()}, "facts")


# Read from a file


def test_a_newer_format_says_what_to_do():
    text = json.dumps({"format": RECORD_FORMAT + 1, "whatever": 1}).encode()
    with pytest.raises(RecordError, match=f"format {RECORD_FORMAT + 1}, this nica-bench reads {RECORD_FORMAT}: update"):
        decode_record(text)


@pytest.mark.parametrize("version", ["1", True, 0, -1, 1.5])
def test_a_bad_format_is_named(version):
    with pytest.raises(RecordError, match=r"`\$\.format`"):
        decoded(format=version)


def test_no_format_is_no_record():
    with pytest.raises(RecordError, match="missing required field `format`"):
        decoded(format=None)


@pytest.mark.parametrize("text", ["null", "3", '"text"', "[]"])
def test_what_is_no_object_is_no_record(text):
    with pytest.raises(RecordError, match="Expected `object`"):
        decode_record(text.encode())


@pytest.mark.parametrize("text", ["", "{", '{"format": 2', '{"format": 2, "training": {"a": ' + "[" * 100_000, "\xff"])
def test_what_is_cut_off_is_named_so(text):
    with pytest.raises(RecordError, match="not JSON, or cut off"):
        decode_record(text.encode("latin-1"))


@pytest.mark.parametrize(
    "name", ["key", "spec", "status", "side_information", "n_latents", "n_observed", "image_shape"]
)
def test_a_missing_field_is_named(name):
    with pytest.raises(RecordError, match=f"missing required field `{name}`"):
        decoded(**{name: None})


def test_missing_and_unknown_fields_of_the_spec_are_named():
    spec = make_record().to_json()["spec"]
    with pytest.raises(RecordError, match="unknown field `extra`"):
        decoded(extra=1)
    with pytest.raises(RecordError, match=r"unknown field `extra` - at `\$\.spec`"):
        decoded(spec={**spec, "extra": 1})
    with pytest.raises(RecordError, match=r"missing required field `init` - at `\$\.spec`"):
        decoded(spec={name: value for name, value in spec.items() if name != "init"})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
def test_a_number_that_json_has_not_is_refused(number):
    text = json.dumps(make_record(scores={"mcc": 0.5}).to_json()).replace('"mcc": 0.5', f'"mcc": {number}')
    assert number in text
    with pytest.raises(RecordError):
        decode_record(text.encode())


def test_a_truth_that_is_no_object_is_refused_where_it_is_asked_for():
    with pytest.raises(RecordError, match="'truth': Expected `object`, got `array`"):
        decoded(truth=[1]).truth  # noqa: B018
