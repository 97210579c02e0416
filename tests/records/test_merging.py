"""Records of several machines in one folder."""

import json

import pytest

from helpers.cli import nica
from helpers.results import arrays, record
from nica_bench import UsageError
from nica_bench.records.collection import collect
from nica_bench.records.merging import merge
from nica_bench.records.packing import pack_runs
from nica_bench.records.store import Store
from nica_bench.tables import Query, table_kind

MADE = record().provenance


def on(host, method="gin", seed=0, mcc=0.5, seconds=1.0, **changes):
    cost = {"wall_seconds": seconds, "cpu_seconds": seconds, "peak_memory_bytes": 1}
    return record(method, seed, mcc=mcc, provenance={**MADE, "host": host}, cost=cost, **changes)


@pytest.fixture
def machines(tmp_path):
    a, b = Store.open(tmp_path / "a"), Store.open(tmp_path / "b")
    a.write(on("one", seed=0), arrays("gin", 0, 0.5))
    a.write(on("one", seed=1, status="timeout"))
    b.write(on("two", seed=0, seconds=9.0), arrays("gin", 0, 0.5))
    b.write(on("two", seed=1, mcc=0.7), arrays("gin", 1, 0.7))
    b.write(on("two", seed=2, status="oom"))
    (b.folder / "weights").mkdir()
    (b.folder / "weights" / f"{on('two', seed=1).key}.safetensors").write_bytes(b"weights")
    return a, b


def test_cells_arrays_and_weights_are_copied_as_they_are(tmp_path, machines):
    a, b = machines
    merged = merge([a.folder, b.folder], tmp_path / "c")
    assert (merged.copied, merged.same, merged.replaced, merged.conflicts) == (3, 1, 1, [])
    store = Store.open(tmp_path / "c")
    records = {r.spec.seed: r for r in store.scan().records.values()}
    assert records[0].to_json() == a.read(records[0].key).to_json()  # one of them whole: nothing is averaged
    assert records[1].to_json() == b.read(records[1].key).to_json()  # finished goes before failed
    assert records[2].status == "oom"
    for number in (0, 1):
        key = records[number].key
        source = (a, b)[number]
        assert (store.runs / f"{key}.npz").read_bytes() == (source.runs / f"{key}.npz").read_bytes()
    assert (store.folder / "weights" / f"{records[1].key}.safetensors").read_bytes() == b"weights"
    again = merge([a.folder, b.folder], tmp_path / "c")
    assert (again.copied, again.replaced) == (0, 0)


def test_a_packed_source_gives_the_same(tmp_path, machines):
    a, b = machines
    merge([a.folder, b.folder], tmp_path / "c")
    pack_runs(b, arrays="pack", remove=True)
    for name, source in (("d", b.folder), ("e", b.folder / "records.parquet")):
        merge([a.folder, source], tmp_path / name)
        files = {p.name: p.read_bytes() for p in (tmp_path / name / "cells").glob("[0-9a-f]*")}
        assert files == {p.name: p.read_bytes() for p in (tmp_path / "c" / "cells").glob("[0-9a-f]*")}


def test_conflicts_are_told_and_nothing_is_overwritten(tmp_path, machines):
    a, b = machines
    b.write(on("two", seed=0, mcc=0.5000001))
    done = nica("merge", "a", "b", "--out", "c", cwd=tmp_path)
    assert done.returncode == 3
    assert "1 in conflict" in done.stdout
    assert "mcc: 0.5 kept, 0.5000001 other" in done.stdout
    assert "(two, torch 2.13.0)" in done.stdout
    key = on("one").key
    assert Store.open(tmp_path / "c").read(key).to_json() == a.read(key).to_json()
    done = nica("merge", "b", "a", "--out", "c", "--json", cwd=tmp_path)
    assert done.returncode == 3
    [conflict] = json.loads(done.stdout)["conflicts"]
    assert conflict["scores"]["mcc"] == {"kept": 0.5, "other": 0.5000001}
    assert Store.open(tmp_path / "c").read(key).scores["mcc"] == 0.5


def test_what_is_refused_and_what_is_left_out(tmp_path, machines):
    a, b = machines
    with pytest.raises(UsageError, match="one of the folders to be merged"):
        merge([a.folder, b.folder], a.folder)
    with pytest.raises(UsageError, match="does not exist"):
        merge([a.folder, tmp_path / "no"], tmp_path / "c")
    assert not (tmp_path / "c").exists()
    broken = next(b.runs.glob("*.json"))
    broken.write_text("{")
    done = nica("merge", "a", "b", "--out", "c", cwd=tmp_path)
    assert done.returncode == 0
    assert f"{broken} is left out" in done.stderr


def test_seconds_of_machines_are_never_averaged(tmp_path):
    for host, seconds, seeds in (("one", 1.0, range(3)), ("two", 9.0, range(3, 6))):
        store = Store.open(tmp_path / host)
        for seed in seeds:
            store.write(on(host, seed=seed, seconds=seconds))
            store.write(on(host, "raw-x", seed, seconds=0.1))
    merge([tmp_path / "one", tmp_path / "two"], tmp_path / "c")
    [table], _ = table_kind("scores").build(collect([tmp_path / "c"]), Query())
    row = table.rows[0]
    assert (row["seconds"], row["seconds_low"], row["seconds_high"]) == (None, 1.0, 9.0)
    assert "1.0-9.0" in table.texts()[0]
    assert "not averaged" in table.caption
    done = nica("table", "--metric", "seconds", "--out", "c", cwd=tmp_path)
    assert done.returncode == 2
    assert "choose one machine with --host" in done.stderr
    done = nica("table", "--metric", "seconds", "--host", "two", "--out", "c", "--json", cwd=tmp_path)
    assert next(iter(json.loads(done.stdout).values()))[0]["median"] == 9.0
    assert nica("table", "--host", "tow", "--out", "c", cwd=tmp_path).stderr.count("did you mean 'two'") == 1
