"""Arrays and checkpoints that anybody may have written: a bad file is left out and named, and no file fills the memory."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile

import numpy as np
import pytest

from nica_bench.files.npz import pack, unpack
from nica_bench.files.tensors import read_metadata

BOMB = 400_000_000
"""Bytes that a bomb of a few hundred kilobytes would unpack to."""


def npy(header, data=b""):
    text = header.encode() + b" " * 10 + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def archive(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def good():
    return pack({"codes": np.ones((5, 2), np.float32)})


def objects():
    buffer = io.BytesIO()
    np.savez(buffer, codes=np.array([{}], dtype=object))
    return buffer.getvalue()


BAD = {
    "nothing": lambda: b"",
    "no archive": lambda: b"\x00" * 100,
    "cut": lambda: good()[:-30],
    "a damaged byte": lambda: good()[:60] + bytes([good()[60] ^ 255]) + good()[61:],
    "objects": objects,
    "no array": lambda: archive({"codes.npy": b"hello"}),
    "a header that is no literal": lambda: archive({"codes.npy": npy("__import__('os').system('true')")}),
    "a header without a shape": lambda: archive({"codes.npy": npy("{'descr': '<f4', 'fortran_order': False}")}),
    "a negative shape": lambda: archive(
        {"codes.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}", b"\0" * 8)}
    ),
    "a shape beyond its data": lambda: archive(
        {"codes.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000)}", b"\0" * 8)}
    ),
    "an object type": lambda: archive(
        {"codes.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\0" * 8)}
    ),
    "text": lambda: pack({"codes": np.array(["a", "b"])}),
    "a bomb": lambda: archive(
        {"codes.npy": npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({BOMB // 4},)}}", b"\0" * BOMB)}
    ),
    "many members": lambda: archive({f"a{i}.npy": b"" for i in range(20_000)}, zipfile.ZIP_STORED),
    "a path as a name": lambda: archive(
        {"../../codes.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", b"\0" * 8)}
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_set_of_arrays_is_refused(name):
    packed = BAD[name]()
    if name == "text":
        return
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        unpack(packed)


def test_a_bomb_is_refused_before_it_is_unpacked():
    """The memory that is asked for stays far below what the archive claims."""
    import tracemalloc

    packed = BAD["a bomb"]()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="bytes"):
            unpack(packed)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_the_arrays_of_a_large_record_are_read():
    """The bound is far above what a method keeps."""
    arrays = {"codes": np.random.default_rng(0).normal(size=(500, 784)), "zeros": np.zeros((2_000, 784))}
    read = unpack(pack(arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def put_arrays(folder, packed):
    """Give a record these arrays, under the checksum that the record states."""
    file = next(p for p in sorted((folder / "cells").glob("*.json")) if json.loads(p.read_text()).get("arrays"))
    value = json.loads(file.read_text())
    npz = file.with_suffix(".npz")
    npz.write_bytes(packed)
    value["arrays"] |= {"bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
    file.write_text(json.dumps(value))


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["report", "spectrum", "codes"])
def test_bad_arrays_leave_the_other_figures(folder, call, tmp_path, name, command):
    put_arrays(folder, BAD[name]())
    page = tmp_path / "page"
    commands = {
        "report": ["report", "--out", folder, "--save", page.with_suffix(".html")],
        "spectrum": ["plot", "spectrum", "--out", folder, "--save", page.with_suffix(".svg")],
        "codes": ["plot", "latents", "--out", folder, "--save", page.with_suffix(".svg")],
    }
    code, _, err = call(*commands[command])
    assert code in (0, 2), err
    assert "Traceback" not in err
    assert "fault of nica-bench" not in err
    if command != "codes":
        assert code == 0, err


@pytest.mark.parametrize(
    "change",
    [
        {"codes": np.ones(3)},
        {"codes": np.full((5, 2), np.nan)},
        {"importance": np.ones((2, 2, 2))},
        {"correlation": np.ones((3, 7)), "assignment": np.full((2, 2), 10**9)},
        {"z": np.ones((1, 1)), "u": np.array([-5])},
        {"loss": np.full(4, np.inf), "importance": np.array([-1.0, np.nan, 0, 1])},
        {"assignment": np.array([[0.5, 1], [1, 1]]), "slopes": np.ones(9)},
        {},
    ],
    ids=lambda change: ",".join(change) or "nothing",
)
def test_arrays_of_wrong_shapes_and_values_leave_the_other_figures(folder, call, tmp_path, change):
    from helpers.results import arrays

    put_arrays(folder, pack({**arrays("gin", 0, 0.9), **change} if change else {"other": np.ones(1)}))
    code, _, err = call("report", "--out", folder, "--save", tmp_path / "report.html")
    assert code == 0, err
    assert "Traceback" not in err


HEADERS = {
    "a size beyond the file": struct.pack("<Q", 2**62) + b"{}",
    "no JSON": struct.pack("<Q", 5) + b"hello",
    "a list": struct.pack("<Q", 2) + b"[]",
    "metadata that is no object": struct.pack("<Q", 21) + b'{"__metadata__": [1]}',
    "numbers for texts": struct.pack("<Q", 44) + b'{"__metadata__": {"wall_seconds": {"a": [1]}}}'[:44],
    "nothing": b"",
    "three bytes": b"abc",
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_malformed_header_has_no_metadata(tmp_path, name):
    path = tmp_path / "state.safetensors"
    path.write_bytes(HEADERS[name])
    assert read_metadata(path) == {}


@pytest.mark.parametrize("name", HEADERS)
def test_a_malformed_checkpoint_is_begun_anew(tmp_path, call, name):
    """A run whose checkpoint is no checkpoint trains from the start and removes it."""
    arguments = ["run", "-s", "gauss-2of4", "--samples", 400, "--held-out", 200, "--seeds", "0", "-m", "gin"]
    arguments += ["-p", "gin.steps=20", "--device", "cpu", "--jobs", 1, "--out", tmp_path / "records"]
    code, _, err = call(*arguments)
    assert code == 0, err
    file = next((tmp_path / "records" / "cells").glob("*.json"))
    before = json.loads(file.read_text())["scores"]
    file.unlink()
    checkpoint = tmp_path / "records" / "checkpoints" / f"{file.stem}.safetensors"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.write_bytes(HEADERS[name])
    code, _, err = call(*arguments)
    assert code == 0, err
    assert json.loads(file.read_text())["scores"] == before
    assert not checkpoint.exists()
