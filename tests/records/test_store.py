from __future__ import annotations

import dataclasses
import errno
import json
import os
import time

import numpy as np
import pytest

from helpers.records import make_arrays, make_record, temporary_files
from nica_bench.errors import UsageError
from nica_bench.records.file import Scan
from nica_bench.records.folder import STORE_FORMAT, list_runs
from nica_bench.records.store import Store, StoreError


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "out")


# Opening


def test_open_makes_folder_and_parents(tmp_path):
    store = Store.open(tmp_path / "a" / "b")
    assert json.loads((tmp_path / "a" / "b" / "nica-bench.json").read_text()) == {"format": STORE_FORMAT}
    assert store.scan() == Scan({}, {})
    assert temporary_files(tmp_path) == []
    assert Store.open(str(tmp_path / "a" / "b")) == store


def test_open_keeps_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store.open("out")
    monkeypatch.chdir("/")
    store.write(make_record())
    assert len(Store.open(tmp_path / "out").scan().records) == 1


def test_open_records_without_marker(store):
    store.write(make_record())
    (store.folder / "nica-bench.json").unlink()
    assert len(Store.open(store.folder, create=False).scan().records) == 1
    Store.open(store.folder)
    assert (store.folder / "nica-bench.json").exists()


@pytest.mark.parametrize("name", ["foo.csv", "cells/foo.csv", "cells"])
def test_open_something_else(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a")
    with pytest.raises(UsageError, match=rf"holds something else \(for example '{name}'\) and no nica-bench records"):
        Store.open(tmp_path)
    assert not (tmp_path / "nica-bench.json").exists()


def test_folders_of_records_in_a_folder_that_is_nobodys_yet(tmp_path):
    """As the example of a sweep leaves `results/sweep`: `run` without --out writes into `results`."""
    Store.open(tmp_path / "sweep")
    with pytest.raises(UsageError, match="holds no nica-bench records"):
        Store.open(tmp_path, create=False)
    Store.open(tmp_path)


def test_open_after_a_kill_while_opening(tmp_path):
    (tmp_path / "cells").mkdir()
    (tmp_path / ".tmp-1-ab").write_text("")
    Store.open(tmp_path)


def test_open_other_files_beside_the_marker(store):
    (store.folder / "table.csv").write_text("a")
    Store.open(store.folder)


def test_open_a_file(tmp_path):
    (tmp_path / "out").write_text("a")
    with pytest.raises(UsageError, match="is a file, not a folder: choose another with --out"):
        Store.open(tmp_path / "out")
    with pytest.raises(UsageError, match=r"cannot be written to: .*; choose another folder with --out"):
        Store.open(tmp_path / "out" / "below")


def test_open_only_to_read(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
    with pytest.raises(UsageError, match="holds no nica-bench records"):
        Store.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root ignores permission bits")
def test_open_without_permission(store):
    store.runs.chmod(0o500)
    try:
        Store.open(store.folder, create=False)
        with pytest.raises(UsageError, match="cannot be written to: Permission denied"):
            Store.open(store.folder)
    finally:
        store.runs.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EROFS, "Read-only file system"), (errno.ENOSPC, "the disk is full")]
)
def test_open_where_writing_fails(tmp_path, monkeypatch, number, reason):
    def fail(_):
        raise OSError(number, os.strerror(number))

    Store.open(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError, match=f"cannot be written to: {reason}; choose another folder with --out"):
        Store.open(tmp_path)
    assert temporary_files(tmp_path) == []
    assert Store.open(tmp_path, create=False).scan() == Scan()


def test_open_newer_format(tmp_path):
    (tmp_path / "nica-bench.json").write_text(json.dumps({"format": STORE_FORMAT + 1}))
    with pytest.raises(UsageError, match=f"has format {STORE_FORMAT + 1}, this nica-bench reads {STORE_FORMAT}"):
        Store.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "a"}', '{"format": null}', "\xff"])
def test_open_bad_marker(tmp_path, text):
    (tmp_path / "nica-bench.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="is not the marker of a nica-bench folder"):
        Store.open(tmp_path)


# Writing and reading


def test_write_and_read(store):
    record = store.write(make_record(message="é\ud800"), make_arrays(2.0))
    path = store.runs / f"{record.key}.npz"
    assert record.arrays.file == path.name
    assert record.arrays.bytes == path.stat().st_size
    assert record.arrays.names == ("spectrum", "codes")
    assert store.read(record.key) == record
    assert store.scan() == Scan({record.key: record}, {})
    arrays = store.arrays(record.key)
    assert list(arrays) == ["spectrum", "codes"]
    for name, expected in make_arrays(2.0).items():
        np.testing.assert_array_equal(arrays[name], expected)
        assert arrays[name].dtype == expected.dtype
    with np.load(path) as file:
        assert set(file.files) == {"spectrum", "codes"}
    assert sorted(p.name for p in store.runs.glob("[!.]*")) == [f"{record.key}.json", path.name]
    assert temporary_files(store.folder) == []


@pytest.mark.parametrize("arrays", [None, {}])
def test_write_without_arrays(store, arrays):
    record = store.write(make_record(), arrays)
    assert record.arrays is None
    assert store.read(record.key) == record
    assert store.arrays(record.key) == {}


def test_arrays_of_all_kinds(store):
    arrays = {
        "scalar": np.array(3),
        "empty": np.zeros((0, 4)),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(10)[::3],
        "text": np.array(["a", "bc"]),
        "file": np.array([True]),
        "allow_pickle": np.array([1j]),
    }
    key = store.write(make_record(), arrays).key
    again = store.arrays(key)
    assert list(again) == list(arrays)
    for name in arrays:
        np.testing.assert_array_equal(again[name], arrays[name])


def test_same_arrays_same_bytes(store):
    first = store.write(make_record(), make_arrays()).arrays
    assert store.write(make_record(), make_arrays()).arrays == first


def test_overwrite(store):
    key = store.write(make_record(scores={"mcc": 0.1}), make_arrays(1.0)).key
    store.write(make_record(scores={"mcc": 0.2}), make_arrays(2.0, size=77))
    assert store.read(key).scores == {"mcc": 0.2}
    assert store.arrays(key)["spectrum"].shape == (77,)
    store.write(make_record(status="error", message="no"))
    assert store.arrays(key) == {}
    assert not (store.runs / f"{key}.npz").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.array([None])}, "array 'a' should hold numbers, got type object"),
        ({"a": np.zeros(1, dtype=[("x", object)])}, "array 'a' should hold numbers"),
        ({"../a": np.zeros(1)}, r"got '\.\./a'"),
        ({"": np.zeros(1)}, "got ''"),
    ],
)
def test_bad_arrays(store, arrays, message):
    old = store.write(make_record(), make_arrays())
    with pytest.raises(StoreError, match=message):
        store.write(make_record(scores={}), arrays)
    assert store.scan() == Scan({old.key: old}, {})


@pytest.mark.parametrize("key", ["", "abc", "../" + "a" * 61, "A" * 64])
def test_bad_key(store, key):
    for method in (store.read, store.arrays):
        with pytest.raises(StoreError, match="a key has 64 hexadecimal digits"):
            method(key)


def test_read_missing(store):
    with pytest.raises(StoreError, match="does not exist"):
        store.read("a" * 64)


def test_changed_arrays_are_noticed(store):
    record = store.write(make_record(), make_arrays())
    path = store.runs / record.arrays.file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="SHA-256 is not the one in the record"):
        store.arrays(record.key)


# Scanning


def test_scan_reports_broken_files(store):
    good = [store.write(make_record(seed), make_arrays()) for seed in range(7)]
    path = [store.runs / f"{record.key}.json" for record in good]
    path[0].write_text(path[0].read_text()[:-40])
    path[1].write_text("")
    path[2].write_text(json.dumps({**good[2].to_json(), "format": 99}))
    path[3].with_suffix(".npz").unlink()
    path[4].with_suffix(".npz").write_bytes(b"PK")
    path[5].rename(store.runs / f"{'0' * 64}.json")
    named = store.runs / f"{'1' * 64}.json"
    named.mkdir()
    deep = store.runs / f"{'2' * 64}.json"
    deep.write_text("[" * 100_000)
    (store.runs / "notes.txt").write_text("mine")
    (store.runs / ".hidden.json").write_text("mine")
    scan = store.scan()
    assert scan.records == {good[6].key: good[6]}
    reasons = {
        path[0]: "cut off",
        path[1]: "cut off",
        path[2]: "format 99",
        path[3]: "npz is missing",
        path[4]: "bytes, but has 2",
        store.runs / f"{'0' * 64}.json": "not its name",
        named: "Is a directory",
        deep: "",
    }
    assert set(scan.broken) == set(reasons)
    for file, reason in reasons.items():
        assert reason in scan.broken[file]
        with pytest.raises(StoreError, match="is broken"):
            store.read(file.stem)


def test_scan_does_not_follow_another_file_name(store):
    record = store.write(make_record(), make_arrays())
    path = store.runs / f"{record.key}.json"
    obj = record.to_json()
    obj["arrays"]["file"] = "../../elsewhere.npz"
    path.write_text(json.dumps(obj))
    assert "should be in" in store.scan().broken[path]


def test_scan_tolerates_vanishing_files(store, monkeypatch):
    records = [store.write(make_record(seed)) for seed in range(3)]
    listed = list_runs(store.runs)
    seen = dataclasses.replace(listed, records=(*listed.records, "f" * 64))
    monkeypatch.setattr("nica_bench.records.store.list_runs", lambda _: seen)
    assert set(store.scan().records) == {record.key for record in records}
    assert store.scan().broken == {}


def test_find(store):
    keys = sorted(store.write(make_record(seed)).key for seed in range(3))
    for key in keys:
        assert store.find(key[:8]) == store.find(key) == store.find(key[:10].upper()) == key
    with pytest.raises(UsageError, match=r"no run in .* begins with '00000000' \(3 runs\)"):
        store.find("00000000")
    for prefix in ("abc", "", "wxyz", "a" * 65):
        with pytest.raises(UsageError, match="4 to 64 hexadecimal digits"):
            store.find(prefix)


def test_find_several(store):
    for i in range(7):
        (store.runs / f"abcd{i:060d}.json").write_text("")
    with pytest.raises(UsageError, match=r"7 runs have a key that begins with 'abcd': abcd00000000, .*, \.\.\."):
        store.find("abcd")


def test_clean(store):
    record = store.write(make_record())
    paths = [store.runs / ".tmp-1-a", store.folder / ".tmp-2-b", store.runs / ".tmp-3-c"]
    for path in paths:
        path.write_text("half")
    for path in paths[:2]:
        os.utime(path, (time.time() - 3700,) * 2)
    assert store.clean() == 2
    assert temporary_files(store.folder) == paths[2:]
    assert store.scan().records == {record.key: record}
