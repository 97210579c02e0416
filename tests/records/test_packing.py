"""Packed runs: nothing is lost, everything reads them, and they are cached."""

import json
import os
import pickle
import signal
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers.cli import nica
from helpers.records import python
from helpers.results import arrays, changed, record
from nica_bench import UsageError
from nica_bench.records.collection import collect
from nica_bench.records.counting import outlines, tally
from nica_bench.records.packing import pack_runs
from nica_bench.records.parquet import PACK_NAME, Pack
from nica_bench.records.record import Status
from nica_bench.records.store import Store, StoreError


def filled(folder, seeds=range(3), methods=("gin", "pca", "raw-x"), **changes):
    store = Store.open(folder)
    for method in methods:
        for seed in seeds:
            store.write(record(method, seed, mcc=0.5 + seed / 10, **changes), arrays(method, seed, 0.5))
    return store


def same_arrays(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize("how", ["pack", "leave"])
def test_every_field_and_array_is_what_it_was(tmp_path, how, remove):
    store = filled(tmp_path)
    odd = record(
        "gin", 7, status="diverged", notes=["a\nb", "ü"], truth={"x": None, "deep": {"list": [1, 2.5, "t"]}},
        provenance={"host": "one", "started": "2026", "ended": None}, difficulty={"a": None, "b": 1e-300},
    )  # fmt: skip
    store.write(odd)
    before = store.scan().records
    kept = {key: store.arrays(key) for key in before}
    result = pack_runs(store, arrays=how, remove=remove)
    assert (result.runs, result.new, result.left) == (10, 10, {})
    assert len(list(store.runs.glob("*.json"))) == (0 if remove else 10)
    assert len(list(store.runs.glob("*.npz"))) == (0 if remove and how == "pack" else 9)
    after = store.scan().records
    assert list(after) == list(before)
    for key, was in before.items():
        assert after[key].to_json() == was.to_json()
        assert after[key] == was
        assert pickle.loads(pickle.dumps(store.read(key))) == was
        assert same_arrays(store.arrays(key), kept[key])
    pack = Pack.open(tmp_path / PACK_NAME)
    assert {r.key: r.to_json() for r in pack.records()} == {k: r.to_json() for k, r in before.items()}


def test_tables_read_a_folder_a_file_and_both_alike(tmp_path):
    filled(tmp_path / "a")
    shown = [nica("table", "--out", "a", "--json", cwd=tmp_path).stdout]
    pack_runs(Store.open(tmp_path / "a"), arrays="pack", remove=True)
    for out in (["a"], [f"a/{PACK_NAME}"], ["a", f"a/{PACK_NAME}"]):
        done = nica("table", *(f"--out={o}" for o in out), "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
    assert len(set(shown)) == 1
    collection = collect([tmp_path / "a" / PACK_NAME])
    assert "codes" in collection.arrays(collection.records[0])
    done = nica("report", "--out", f"a/{PACK_NAME}", "--save", "r.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = nica("plot", "spectrum", "--out", f"a/{PACK_NAME}", "--save", "s.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    key = collection.records[0].key
    assert nica("show", key[:12], "--out", "a", "--json", cwd=tmp_path).stdout.count(key) > 1


def test_a_packed_cell_is_cached(tmp_path):
    run = ["run", "-s", "gauss-2of3", "--samples", "200", "--held-out", "100", "-m", "pca", "-m", "raw-x", "--out", "r"]
    assert nica(*run, "--seeds", "0:2", cwd=tmp_path).returncode == 0
    assert nica("collect", "r", "--remove", "--arrays", "pack", cwd=tmp_path).returncode == 0
    done = nica(*run, "--seeds", "0:3", "--dry-run", cwd=tmp_path)
    assert "3 runs, 2 there, 1 to run" in done.stderr
    done = nica(*run, "--seeds", "0:3", cwd=tmp_path)
    assert done.returncode == 0
    assert "6 records" in done.stdout
    assert len(list((tmp_path / "r" / "cells").glob("*.json"))) == 2


def test_a_later_collect_adds_and_replaces(tmp_path):
    store = filled(tmp_path, seeds=range(2))
    pack_runs(store, arrays="pack", remove=True)
    newer = record("gin", 0, mcc=0.99)
    store.write(newer, arrays("gin", 0, 0.9))
    store.write(record("gin", 5), arrays("gin", 5, 0.9))
    assert store.read(newer.key).scores["mcc"] == 0.99  # before it is packed too
    result = pack_runs(store, arrays="pack", remove=True)
    assert (result.runs, result.new, result.arrays) == (7, 2, 2)
    assert store.read(newer.key).scores["mcc"] == 0.99
    assert same_arrays(store.arrays(newer.key), arrays("gin", 0, 0.9))
    assert len(store.scan().records) == 7
    assert len(list(tmp_path.glob("arrays-*.zip"))) == 2
    assert pack_runs(store).new == 0


def test_arrays_are_packed_by_themselves_only_where_there_are_many(tmp_path, monkeypatch):
    assert pack_runs(filled(tmp_path / "few")).arrays == 0
    monkeypatch.setattr("nica_bench.records.packing.MANY_ARRAYS", 9)
    assert pack_runs(filled(tmp_path / "many")).arrays == 9


def test_what_is_broken_is_left_alone(tmp_path):
    store = filled(tmp_path, methods=["gin"])
    keys = sorted(store.scan().records)
    broken = store.runs / f"{keys[0]}.json"
    broken.write_text("{")
    npz = store.runs / f"{keys[1]}.npz"
    npz.write_bytes(npz.read_bytes()[:-1] + b"x")
    result = pack_runs(store, arrays="pack", remove=True)
    assert {path.name[:64] for path in result.left} == set(keys[:2])
    assert result.new == 1
    assert broken.exists()
    assert npz.exists()


def test_a_cell_that_is_replaced_meanwhile_is_not_removed(tmp_path, monkeypatch):
    store = filled(tmp_path, methods=["gin"])
    key = sorted(store.scan().records)[0]
    real = os.replace

    def replacing(source, target):
        real(source, target)
        if str(target).endswith(PACK_NAME):
            was = store.read(key).spec.seed
            store.write(record("gin", was, mcc=0.123), arrays("gin", was, 0.1))

    monkeypatch.setattr(os, "replace", replacing)
    pack_runs(store, remove=True)
    monkeypatch.undo()
    assert (store.runs / f"{key}.json").exists()
    assert store.read(key).scores["mcc"] == 0.123


def test_killed_at_every_step_nothing_is_lost(tmp_path):
    """The process dies before each of its system calls that change a name in turn."""
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from nica_bench.records.store import Store
        from nica_bench.records.packing import pack_runs
        store, at, done = Store.open(sys.argv[1]), int(sys.argv[2]), 0
        def deadly(call):
            def wrapper(*a, **k):
                global done
                if done == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                done += 1
                return call(*a, **k)
            return wrapper
        for name in ("replace", "unlink", "fsync"):
            setattr(os, name, deadly(getattr(os, name)))
        Path.unlink = deadly(Path.unlink)
        pack_runs(store, arrays="pack", remove=True)
        """
    store = filled(tmp_path, seeds=range(2), methods=["gin"])
    before = {key: (r.to_json(), store.arrays(key)) for key, r in store.scan().records.items()}
    kills = 0
    for at in range(40):
        process = python(code, tmp_path, at)
        process.communicate()
        found = store.scan()
        assert found.records.keys() == before.keys()
        assert not found.broken
        for key, (was, stored) in before.items():
            assert found.records[key].to_json() == was
            assert same_arrays(store.arrays(key), stored)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0
            break
        kills += 1
    assert kills > 4
    assert not list(store.runs.glob("*.json"))
    pack_runs(store)  # archives that a kill left without a record that leads to them go with the next
    assert {path.name for path in tmp_path.glob("arrays-*.zip")} == Pack.open(tmp_path / PACK_NAME).archives


def test_a_full_disk_changes_nothing(tmp_path, monkeypatch):
    store = filled(tmp_path, methods=["gin"])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nica_bench.records.packing._flush", full)
    with pytest.raises(StoreError, match="disk is full"):
        pack_runs(store, arrays="pack", remove=True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["nica-bench.json"]
    assert len(store.scan().records) == 3


def test_files_that_are_none_are_named(tmp_path):
    other, text, store = tmp_path / "other.parquet", tmp_path / "text.parquet", filled(tmp_path / "a", methods=["gin"])
    import pyarrow as pa

    pq.write_table(pa.table({"key": [1]}), other)
    text.write_text("text")
    for path, said in (
        (other, "not one of records"),
        (text, "cannot be read"),
        (tmp_path / "no.parquet", "does not exist"),
    ):
        with pytest.raises(UsageError, match=said):
            Pack.open(path)
    pack_runs(store, remove=True)
    whole = (store.folder / PACK_NAME).read_bytes()
    damaged = bytearray(whole)
    damaged[200 : len(whole) // 2 : 40] = b"X" * len(range(200, len(whole) // 2, 40))
    (store.folder / PACK_NAME).write_bytes(damaged)
    with pytest.raises(UsageError, match=r"damaged|cannot be read"):
        [r.to_json() for r in Pack.open(store.folder / PACK_NAME).records()]
    with pytest.raises(UsageError, match="no finished runs"):
        pack_runs(Store.open(tmp_path / "empty"))


def test_counting_does_not_read_records_but_agrees_with_them(tmp_path):
    store = filled(tmp_path)
    store.write(record("gin", 8, status="timeout"))
    label = 'odd "label"\n "status": "ok"'
    odd = store.write(changed(record("gin", 9), method_label=label))
    path = store.runs / f"{odd.key}.json"
    compact = store.runs / f"{record('pca', 1).key}.json"
    compact.write_text(json.dumps(json.loads(compact.read_text())))  # in another layout
    (store.runs / f"{'0' * 64}.json").write_text("{")
    path_counts = tally([tmp_path])
    expected = Counter((r.spec.scenario_label, r.spec.method_label, r.status) for r in store.scan().records.values())
    found = {(s, m, status): n for (s, m), counts in path_counts.items() for status, n in counts.items()}
    assert found == expected
    assert found["gauss-2of4[conditions=3]", "gin", Status.TIMEOUT] == 1
    assert path.exists()
    before = sorted(outlines(store), key=lambda o: o.key)
    pack_runs(store, remove=True)
    assert sorted(outlines(store), key=lambda o: o.key) == before
    assert tally([tmp_path, tmp_path / PACK_NAME]) == path_counts
