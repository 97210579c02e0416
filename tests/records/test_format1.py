"""Records of format 1, as files of users and the published results have them, are read as records of today."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest

from helpers import ROOT
from helpers.results import record
from nica_bench.records.collection import collect
from nica_bench.records.counting import tally
from nica_bench.records.file import decode_record, encode_record
from nica_bench.records.packing import pack_runs
from nica_bench.records.parquet import PACK_NAME, Pack
from nica_bench.records.record import RecordError
from nica_bench.records.store import Store

PUBLISHED = sorted(path.parent.name for path in (ROOT / "results").glob("*/records.parquet"))


def format1(made, kind="method", **told):
    """The JSON of format 1 of a record."""
    value = made.to_json() | {"format": 1, "kind": kind}
    flags = {"conditions": False, "dimension": False, "oracle": False, "family": False, **told}
    value["told"] = {name: flag for name, flag in flags.items() if flag is not None}
    value["provenance"] = made.provenance
    for name in ("started", "ended", "side_information", "n_latents", "n_observed", "image_shape"):
        del value[name]
    return value


def read(value):
    return decode_record(json.dumps(value, indent=1).encode())


def of(scenario, **changes):
    made = record(**changes)
    spec = made.to_json()["spec"] | {"scenario": scenario, "scenario_label": scenario}
    return format1(made) | {"spec": spec}


@pytest.mark.parametrize(
    ("kind", "told", "letters", "now"),
    [
        ("method", {"conditions": True}, "u", "method"),
        ("method", {"conditions": True, "family": None}, "u", "method"),  # from before families were
        ("method", {"conditions": True, "dimension": True, "family": True}, "unf", "method"),
        ("floor", {}, "", "baseline"),
        ("floor", {"conditions": True}, "u", "baseline"),
        ("floor", {"dimension": True, "oracle": True}, "nz", "reference"),
        ("baseline", {}, "", "baseline"),
        ("reference", {"oracle": True}, "z", "reference"),
    ],
)
def test_what_a_method_was_told_becomes_letters(kind, told, letters, now):
    made = record()
    found = read(format1(made, kind, **told))
    assert (found.side_information, found.kind) == (letters, now)
    others = {"format", "side_information", "kind", "n_latents", "n_observed", "image_shape"}
    was, came = made.to_json(), found.to_json()
    assert {n: v for n, v in came.items() if n not in others} == {n: v for n, v in was.items() if n not in others}
    assert decode_record(encode_record(found)) == found  # written in today's format


@pytest.mark.parametrize(
    ("scenario", "sizes"),
    [
        ("gauss-2of10", (2, 10, None)),
        ("my-own-3of200", (3, 200, None)),
        ("mnist", (None, 784, (1, 28, 28))),
        ("emnist", (None, 784, (1, 28, 28))),
        ("emnist-subset", (None, 784, (1, 28, 28))),
        ("digits", (None, 64, (1, 8, 8))),
    ],
)
@pytest.mark.parametrize("status", ["ok", "error"])
def test_sizes_come_from_the_name(scenario, sizes, status):
    found = read(of(scenario, status=status))
    assert (found.n_latents, found.n_observed, found.image_shape) == sizes


def test_an_unknown_scenario_without_sizes_is_labelled_where_it_has_an_mcc():
    assert read(of("theirs", mcc=0.5)).labelled
    assert not read(of("theirs", scores={"mcc": None, "bits": 1.0})).labelled


def test_a_text_with_half_a_pair_of_surrogates_is_read():
    value = format1(record()) | {"message": "é\ud800"}
    assert read(value).message == "é\\ud800"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"told": {"conditions": True}}, r"missing required field `dimension` - at `\$\.told`"),
        ({"side_information": "u"}, "unknown field `side_information`"),
        ({"kind": "bound"}, r"at `\$\.kind`"),
    ],
)
def test_bad_records_are_named(changes, message):
    with pytest.raises(RecordError, match=message):
        read(format1(record()) | changes)


def test_folders_of_both_formats_are_read_counted_and_packed(tmp_path):
    store = Store.open(tmp_path)
    new, old = record("gin", 0, mcc=0.9), record("raw-x", 1, mcc=0.4)
    store.write(new)
    (store.runs / f"{old.key}.json").write_text(json.dumps(format1(old, "floor"), indent=1))
    assert {r.key: r for r in collect([tmp_path]).records} == store.scan().records == {new.key: new, old.key: old}
    counted = tally([tmp_path])
    pack_runs(store, remove=True)
    assert store.scan().records == {new.key: new, old.key: old}
    assert tally([tmp_path]) == counted


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_records_are_read(name):
    path = ROOT / "results" / name / PACK_NAME
    pack, rows = Pack.open(path), pq.read_table(path).to_pylist()
    records = list(pack.records())
    assert [r.key for r in records] == [row["key"] for row in rows]
    images = name in ("mnist", "digits")
    for found, row in zip(records, rows, strict=True):
        assert found.spec.key == found.key
        assert found.scores == json.loads(row["scores"])
        assert found.truth == json.loads(row["truth"])
        assert found.provenance == json.loads(row["provenance"]) | {"started": row["started"], "ended": row["ended"]}
        assert found.labelled == (not images) == (found.image_shape is None)
        assert found.n_observed >= (found.n_latents or 1)
        assert decode_record(encode_record(found)) == found
    with_arrays = next((r for r in records if images and r.arrays), None)
    if with_arrays is not None:
        assert pack.arrays(with_arrays.key).keys() == with_arrays.array_names


def test_published_records_can_be_added_to(tmp_path):
    """A pack of format 1 and new files become one pack of today's format; arrays in archives stay where they are."""
    for path in (ROOT / "results" / "digits").iterdir():
        if path.suffix in (".parquet", ".zip"):
            shutil.copy(path, tmp_path)
    store = Store.open(tmp_path)
    before = {r.key: r for r in Pack.open(tmp_path / PACK_NAME).records()}
    new = store.write(record())
    assert pack_runs(store, remove=True).runs == len(before) + 1
    after = {r.key: r for r in Pack.open(tmp_path / PACK_NAME).records()}
    assert after == before | {new.key: new}
    for key, was in before.items():
        assert store.arrays(key).keys() == was.array_names
