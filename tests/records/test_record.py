from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nica_bench.records.record import RECORD_FORMAT, Record, RecordError, RunSpec, Status

SIDE_INFORMATION = "u"
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers() | FINITE | st.text(max_size=8)
JSON = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
NATURAL = st.integers(0, 2**80)
SPECS = st.builds(
    RunSpec,
    scenario=st.text(min_size=1),
    scenario_parameters=OBJECTS,
    scenario_version=st.text(min_size=1),
    method=st.text(min_size=1),
    method_parameters=OBJECTS,
    method_version=st.text(min_size=1),
    seed=NATURAL,
    training_seed=NATURAL,
    scenario_label=st.text(),
    method_label=st.text(),
)
ARRAYS = st.fixed_dictionaries(
    {
        "file": st.text(min_size=1),
        "bytes": NATURAL,
        "sha256": st.binary().map(lambda b: hashlib.sha256(b).hexdigest()),
        "names": st.lists(st.text(max_size=5), max_size=3),
    }
)
RECORDS = st.builds(
    Record,
    spec=SPECS,
    status=st.sampled_from(Status),
    side_information=st.sampled_from(["", "u", "un", "uf", "nz"]),
    message=st.text(),
    notes=st.lists(st.text(max_size=10), max_size=3),
    kind=st.sampled_from(["method", "baseline", "reference"]),
    truth=OBJECTS,
    difficulty=st.dictionaries(st.text(max_size=5), FINITE | st.none(), max_size=3),
    scores=st.dictionaries(st.text(max_size=5), FINITE, max_size=3),
    dimensions=st.dictionaries(st.text(max_size=5), NATURAL, max_size=3),
    training=OBJECTS,
    cost=OBJECTS,
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


def make_record(**changes):
    return Record(**{"spec": make_spec(), "status": Status.OK, "side_information": SIDE_INFORMATION, **changes})


def through_text(record):
    return Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False)))


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


def test_spec_does_not_change_with_what_it_was_made_of():
    parameters = {"widths": [8, 8]}
    spec = make_spec(method_parameters=parameters)
    key = spec.key
    parameters["widths"].append(8)
    assert hashlib.sha256(spec.canonical().encode()).hexdigest() == key
    spec.to_json()["method_parameters"]["widths"].append(8)
    assert hashlib.sha256(spec.canonical().encode()).hexdigest() == key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": ""}, r"spec\.scenario': expected a string that is not empty, got ''"),
        ({"method": 3}, r"spec\.method': expected a string that is not empty, got 3"),
        ({"seed": -1}, r"spec\.seed': expected an integer >= 0, got -1"),
        ({"training_seed": True}, r"spec\.training_seed': expected an integer >= 0, got True"),
        ({"seed": 1.0}, r"spec\.seed': expected an integer >= 0, got 1\.0"),
        ({"method_parameters": {"lr": math.nan}}, r"method_parameters\.lr': expected a finite number, got nan"),
        ({"method_parameters": {"a": [1, math.inf]}}, r"method_parameters\.a\[1\]': expected a finite number, got inf"),
        ({"method_parameters": {"a": object()}}, r"method_parameters\.a': expected a JSON value"),
        ({"method_parameters": {3: 1}}, r"method_parameters': expected names that are strings, got 3"),
        ({"scenario_parameters": [1]}, r"scenario_parameters': expected an object, got \[1\]"),
        ({"scenario_label": None}, r"scenario_label': expected a string, got None"),
    ],
)
def test_bad_spec(changes, message):
    with pytest.raises(RecordError, match=message):
        make_spec(**changes)


@given(RECORDS)
def test_json_round_trip(record):
    again = through_text(record)
    assert again == record
    assert again.key == record.key
    assert again.to_json() == record.to_json()
    assert (again.spec.scenario_label, again.spec.method_label) == (
        record.spec.scenario_label,
        record.spec.method_label,
    )


def test_numpy_values_are_converted():
    record = make_record(
        status="ok",
        side_information="nu",
        scores={"mcc": np.float32(0.5), "chance": np.float64(0.25), "one": np.int64(1), "long": np.longdouble(0.5)},
        dimensions={"knee": np.int32(2)},
        truth={"family": np.str_("gauss"), "means": np.arange(4.0).reshape(2, 2), "pair": (np.uint8(1), np.bool_(0))},
    )
    assert record.status is Status.OK
    assert record.scores == {"mcc": 0.5, "chance": 0.25, "one": 1.0, "long": 0.5}
    assert record.truth == {"family": "gauss", "means": [[0.0, 1.0], [2.0, 3.0]], "pair": [1, False]}
    assert {type(v) for v in record.scores.values()} == {float}
    assert record.side_information == "un"
    assert through_text(record) == record


@pytest.mark.parametrize("name", ["truth", "difficulty", "training", "cost", "provenance"])
@pytest.mark.parametrize("value", [math.nan, -math.inf, np.float32("inf")])
def test_non_finite_becomes_null(name, value):
    record = make_record(**{name: {"a": value, "b": 1.5}})
    assert getattr(record, name) == {"a": None, "b": 1.5}
    assert through_text(record) == record


def test_deep_non_finite_becomes_null():
    assert make_record(training={"curve": [1.0, {"x": np.array([np.nan, 2.0])}]}).training == {
        "curve": [1.0, {"x": [None, 2.0]}]
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": {}}, "'spec': expected a RunSpec"),
        ({"status": "fine"}, "'status': expected one of ok, skipped, .*, got 'fine'"),
        ({"status": None}, "'status': expected one of"),
        ({"kind": "bound"}, "'kind': expected 'method', 'baseline' or 'reference', got 'bound'"),
        ({"message": None}, "'message': expected a string, got None"),
        ({"notes": "text"}, "'notes': expected a list of strings, got 'text'"),
        ({"notes": [1]}, r"'notes\[0\]': expected a string, got 1"),
        ({"side_information": "ux"}, "'side_information': .*letters, such as 'un', got 'ux'"),
        ({"side_information": {"u": True}}, "'side_information': .*letters, such as 'un', got {'u': True}"),
        ({"scores": {"mcc": math.nan}}, r"'scores\.mcc': expected a finite number, got nan"),
        ({"scores": {"mcc": True}}, r"'scores\.mcc': expected a number, got True"),
        ({"scores": {"mcc": "1"}}, r"'scores\.mcc': expected a number, got '1'"),
        ({"scores": {"mcc": 10**400}}, r"'scores\.mcc': expected a finite number, got 1000"),
        ({"scores": [0.5]}, r"'scores': expected an object, got \[0\.5\]"),
        ({"difficulty": {"a": "hard"}}, r"'difficulty\.a': expected a number, got 'hard'"),
        ({"dimensions": {"knee": 2.0}}, r"'dimensions\.knee': expected an integer >= 0, got 2\.0"),
        ({"training": {"f": print}}, r"'training\.f': expected a JSON value"),
        ({"arrays": {"file": "a.npz"}}, "arrays has no field 'bytes'"),
        ({"arrays": {"file": "a", "bytes": 1, "sha256": "0", "names": []}}, r"'arrays\.sha256': expected 64 hexa"),
        ({"arrays": "a.npz"}, "'arrays': expected an object"),
    ],
)
def test_bad_record(changes, message):
    with pytest.raises(RecordError, match=message):
        make_record(**changes)


def test_from_json_newer_format():
    with pytest.raises(RecordError, match=f"format {RECORD_FORMAT + 1}, this nica-bench reads {RECORD_FORMAT}: update"):
        Record.from_json({"format": RECORD_FORMAT + 1, "whatever": 1})


@pytest.mark.parametrize("version", [None, "1", True, 0, -1, 1.0])
def test_from_json_bad_format(version):
    with pytest.raises(RecordError, match="'format': expected"):
        Record.from_json({**make_record().to_json(), "format": version})


@pytest.mark.parametrize("obj", [None, 3, "text", []])
def test_from_json_not_an_object(obj):
    with pytest.raises(RecordError, match="expected an object"):
        Record.from_json(obj)


@pytest.mark.parametrize(
    "name", ["key", *("told" if f.name == "side_information" else f.name for f in dataclasses.fields(Record))]
)
def test_from_json_missing_field(name):
    obj = make_record().to_json()
    del obj[name]
    with pytest.raises(RecordError, match=f"record has no field '{name}'"):
        Record.from_json(obj)


def test_from_json_missing_and_unknown_field_of_spec():
    obj = make_record().to_json()
    with pytest.raises(RecordError, match=r"'record': expected only format, key, .*, got 'extra'"):
        Record.from_json({**obj, "extra": 1})
    with pytest.raises(RecordError, match=r"'spec': expected only .*, got 'extra'"):
        Record.from_json({**obj, "spec": {**obj["spec"], "extra": 1}})
    del obj["spec"]["seed"]
    with pytest.raises(RecordError, match="spec has no field 'seed'"):
        Record.from_json(obj)


def test_from_json_key_of_another_spec():
    obj = make_record().to_json()
    obj["spec"]["seed"] = 99
    with pytest.raises(RecordError, match="'key': expected the spec's"):
        Record.from_json(obj)


def test_to_json_shares_nothing():
    record = make_record(truth={"a": [1]})
    record.to_json()["truth"]["a"].append(2)
    assert record.truth == {"a": [1]}


def test_pickle_round_trip():
    record = make_record(scores={"mcc": 0.5})
    assert record.key
    assert pickle.loads(pickle.dumps(record)) == record
