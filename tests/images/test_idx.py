"""The idx reader: what it reads, and what it says of each way in which a file can be wrong."""

import gzip
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from helpers.images import idx_bytes, write
from nica_bench.errors import UsageError
from nica_bench.images import read_idx

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["a.gz", "a-ubyte"])
def test_reads_both_kinds_whatever_the_name(tmp_path, packed, name):
    array = read_idx(write(tmp_path / name, idx_bytes(IMAGES), packed), 3)
    np.testing.assert_array_equal(array, IMAGES)
    assert not array.flags.writeable


def test_maps_a_plain_file(tmp_path):
    array = read_idx(write(tmp_path / "a", idx_bytes(IMAGES), packed=False), 3)
    assert isinstance(array, np.memmap)


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)), st.booleans())
@settings(max_examples=50, deadline=None)
def test_round_trip(tmp_path_factory, array, packed):
    path = write(tmp_path_factory.mktemp("idx") / "a", idx_bytes(array), packed)
    np.testing.assert_array_equal(read_idx(path, array.ndim), array)


def packed(data):
    return gzip.compress(data, mtime=0)


WHOLE = idx_bytes(IMAGES)
PAGE = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
WRONG = {
    "truncated gz": (packed(WHOLE)[:-12], "is cut off or damaged"),
    "gz with a flipped byte": (packed(WHOLE)[:-5] + b"\xff\xff\xff\xff\xff", "is cut off or damaged"),
    "gz of a cut off file": (packed(WHOLE[:-1]), r"is cut off: its header promises 76 bytes, found 75"),
    "cut off": (WHOLE[:-1], r"is cut off: its header promises 76 bytes, found 75"),
    "too long": (WHOLE + b"x", r"is longer than its header promises: expected 76 bytes"),
    "gz of a longer file": (packed(WHOLE + b"x"), r"is longer than its header promises: expected 76 bytes"),
    "empty": (b"", r"is cut off: expected an idx file .* found 0 bytes"),
    "only a magic number": (WHOLE[:6], "is cut off: expected 3 sizes"),
    "a page": (PAGE, r"is a web page, not data"),
    "a page, gzipped": (packed(PAGE), r"is a web page, not data"),
    "labels": (idx_bytes(np.zeros(4)), r"magic number 0x00000803\), found 0x00000801, unsigned bytes with 1 axes"),
    "floats": (idx_bytes(IMAGES, 0x0D03), r"found 0x00000d03, floats with 3 axes"),
    "something else": (b"PK\x03\x04" + bytes(100), r"found 0x504b0304"),
    "a header that promises too much": (
        packed(b"\0\0\x08\x03" + b"\xff" * 12 + b"few"),
        "is cut off: its header promises .* found 19",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("called", ["a.gz", "a"])
def test_says_what_is_wrong(tmp_path, name, called):
    data, message = WRONG[name]
    path = tmp_path / called
    path.write_bytes(data)
    with pytest.raises(UsageError, match=re.escape(str(path)) + ".*" + message):
        read_idx(path, 3)


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read_idx(path, 3)
