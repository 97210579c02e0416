"""The store where the disk is full, a process is killed, or several write at once."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from helpers.records import make_arrays, make_record, python, temporary_files, write_often
from nica_bench.files import atomic
from nica_bench.records.file import Scan
from nica_bench.records.store import Store, StoreError


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "out")


def test_failed_write_leaves_what_was_there(store, monkeypatch):
    old = store.write(make_record(), make_arrays(1.0))
    real, calls = os.fsync, []

    def fail_second(number):
        calls.append(number)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", fail_second)
    with pytest.raises(StoreError, match=rf"cannot write .*{old.key}\.json: the disk is full; finished runs are kept"):
        store.write(make_record(scores={}), make_arrays(2.0))
    assert store.scan() == Scan({old.key: old}, {})
    assert store.arrays(old.key)["spectrum"][0] == 1.0
    assert temporary_files(store.folder) == []


def test_interrupted_write_leaves_no_temporary_file(store, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write(make_record(), make_arrays())
    assert temporary_files(store.folder) == []


def test_write_without_locks(store, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    record = store.write(make_record(), make_arrays())
    assert store.read(record.key) == record


def test_folder_removed_meanwhile(store):
    (store.runs).rmdir()
    with pytest.raises(StoreError, match="No such file or directory"):
        store.write(make_record())
    assert store.scan() == Scan()


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
def test_full_disk(store):
    old = store.write(make_record(), make_arrays())
    code = """
import resource, sys
import numpy as np
import helpers.records as t
from nica_bench.records.store import Store, StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
store = Store.open(sys.argv[1])
store.write(t.make_record(1), t.make_arrays())
for seed in (0, 2):
    try:
        store.write(t.make_record(seed, scores={}), {"noise": np.random.default_rng(0).normal(size=10_000)})
    except StoreError as error:
        print(error)
"""
    process = python(code, store.folder)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 0
    assert len(lines) == 2
    assert all("cannot write" in line and "too large; finished runs are kept" in line for line in lines)
    scan = store.scan()
    assert set(scan.records) == {old.key, make_record(1).key}
    assert scan.records[old.key] == old
    assert scan.broken == {}
    assert store.arrays(old.key)
    assert temporary_files(store.folder) == []


def start_together(code, *arguments):
    """Processes that run the code at once, one for each of the arguments."""
    code = (
        "import sys\nimport helpers.records as t\nfrom nica_bench.records.store import Store\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        + code
    )
    processes = [python(code, *each, stdin=subprocess.PIPE) for each in arguments]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def finish(processes):
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0


class StoreMissing(Exception):
    pass


def read_arrays(store, key):
    """The arrays of a run that is being replaced all the time, and so may be missing but never broken."""
    try:
        return store.arrays(key)
    except StoreError as error:
        if "does not exist" in str(error):
            raise StoreMissing from error
        raise


def test_two_writers_of_one_cell(store):
    processes = start_together(
        "t.write_often(Store.open(sys.argv[1]), int(sys.argv[2]))", (store.folder, 1), (store.folder, 2)
    )
    key = make_record().key
    while any(process.poll() is None for process in processes):
        scan = store.scan()
        assert scan.broken == {}
        with contextlib.suppress(StoreMissing):
            assert read_arrays(store, key)["spectrum"][0] in (1.0, 2.0)
    finish(processes)
    record = store.read(key)
    assert store.arrays(key)["spectrum"][0] == record.scores["mcc"]
    assert temporary_files(store.folder) == []


def test_two_threads_write_one_cell(store):
    threads = [threading.Thread(target=write_often, args=(store, number)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (record,) = store.scan().records.values()
    assert store.arrays(record.key)["spectrum"][0] == record.scores["mcc"]


def test_two_processes_open_one_folder(tmp_path):
    code = "for i in range(20):\n    Store.open(f'{sys.argv[1]}/{i}').write(t.make_record())"
    finish(start_together(code, (tmp_path,), (tmp_path,)))
    for i in range(20):
        assert len(Store.open(tmp_path / str(i), create=False).scan().records) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_kill_while_writing(store):
    code = """
import itertools, sys
import helpers.records as t
from nica_bench.records.store import Store, StoreError
store = Store.open(sys.argv[1])
print("ready", flush=True)
for i in itertools.count():
    store.write(t.make_record(i % 5, scores={"mcc": float(i)}), t.make_arrays(i, size=1000 + i))
"""
    generator = np.random.default_rng(0)
    kept = store.write(make_record(99), make_arrays())
    for _ in range(8):
        process = python(code, store.folder)
        assert process.stdout.readline() == "ready\n"
        time.sleep(generator.uniform(0.01, 0.15))
        process.kill()
        process.communicate()
        scan = store.scan()
        assert scan.broken == {}
        assert scan.records[kept.key] == kept
        for key, record in scan.records.items():
            assert record.key == kept.key or store.arrays(key)["spectrum"][0] == record.scores["mcc"]
    assert len(scan.records) > 1
    store.write(make_record(0))  # no lock outlives its process
