"""Image files: what is read, what is refused, and what a download leaves."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.images import COLLECTIONS, ImageCollection, ImageFile, as_rows, data_folder, fetch, load, read_idx

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (12, 4, 4), dtype=np.uint8)
LABELS = (np.arange(12) % 10).astype(np.uint8)


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def collection(**changes):
    files = (
        ImageFile("images-idx3-ubyte.gz", 12, 4, hashlib.sha256(idx(IMAGES)).hexdigest()),
        ImageFile("labels-idx1-ubyte.gz", 12, None, hashlib.sha256(idx(LABELS)).hexdigest()),
    )
    return replace(ImageCollection("toy", "toy images", None, files), **changes)


def put(folder, images=IMAGES, labels=LABELS, packed=True):
    for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        data = idx(array)
        (folder / (name + (".gz" if packed else ""))).write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [True, False])
def test_files_are_read_gzipped_or_not_and_plain_ones_are_mapped(tmp_path, packed):
    put(tmp_path, packed=packed)
    train, test = load(collection(), tmp_path)
    assert train is None
    assert test.verified
    np.testing.assert_array_equal(test.images, IMAGES)
    np.testing.assert_array_equal(test.labels, LABELS)
    assert isinstance(test.images, np.memmap) == (not packed)
    with pytest.raises(ValueError, match="read-only"):
        test.images[0, 0, 0] = 1


def test_rows_are_upright_and_in_0_to_1(tmp_path):
    put(tmp_path)
    _, test = load(collection(transposed=True), tmp_path)
    x = as_rows(test, np.array([3, 0]))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, IMAGES[[3, 0]].transpose(0, 2, 1).reshape(2, 16) / 255, rtol=1e-6)


DAMAGED = {
    "truncated gz": (lambda d: gzip.compress(d)[:-20], "cut off or damaged"),
    "truncated": (lambda d: d[:-3], "cut off: its header promises 208 bytes, found 205"),
    "too long": (lambda d: gzip.compress(d + b"x"), "longer than its header promises"),
    "short": (lambda d: d[:2], "cut off: .*found 2 bytes"),
    "no sizes": (lambda d: d[:9], "expected 3 sizes"),
    "wrong magic": (lambda d: b"\0\0\x0d\x03" + d[4:], "0x00000803.*found 0x00000d03, floats with 3 axes"),
    "labels for images": (lambda d: idx(LABELS), "0x00000803.*found 0x00000801, unsigned bytes with 1 axes"),
    "web page": (lambda d: b"<!DOCTYPE html><html>404</html>", "is a web page, not data"),
    "gzipped web page": (lambda d: gzip.compress(b"<html>404</html>"), "is a web page, not data"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_say_what_was_expected_and_found(tmp_path, damage, message):
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(damage(idx(IMAGES)))
    with pytest.raises(UsageError, match=message) as error:
        read_idx(path, 3)
    assert str(path) in str(error.value)


def test_files_that_do_not_belong_together(tmp_path):
    put(tmp_path, labels=LABELS[:-1])
    with pytest.raises(UsageError, match="expected 12 labels, found 11"):
        load(collection(), tmp_path)
    fewer = collection(test=(collection().test[0], replace(collection().test[1], count=11, sha256=None)))
    with pytest.raises(UsageError, match="12 images, 11 labels"):
        load(fewer, tmp_path)
    put(tmp_path, labels=LABELS + 1)
    wrong = collection(test=(collection().test[0], replace(collection().test[1], sha256=None)))
    with pytest.raises(UsageError, match="labels are 0 to 9, found 10 at place 9"):
        load(wrong, tmp_path)
    put(tmp_path, images=IMAGES[::-1])
    with pytest.raises(UsageError, match="not the published file: expected contents with SHA-256"):
        load(collection(), tmp_path)


def test_missing_files_are_named_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"emnist needs 4 files.*emnist-digits-train-images.*nica-bench data emnist"):
        load(COLLECTIONS["emnist"], tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="NICA_BENCH_DATA names a folder"):
        data_folder()


@pytest.fixture
def served(tmp_path):
    """A folder, and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def hidden(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_a_download_is_checked_and_what_is_there_is_kept(tmp_path, served):
    source, url = served
    put(source)
    place, said = tmp_path / "place", []
    found = fetch(collection(urls=("http://127.0.0.1:9/", url)), place, said.append)
    assert sorted(p.name for p in found.values()) == ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"]
    assert any("no use" in line for line in said), "the first address does not answer"
    assert not hidden(place)
    np.testing.assert_array_equal(load(collection(), place)[1].images, IMAGES)
    (place / "labels-idx1-ubyte.gz").unlink()
    before = (place / "images-idx3-ubyte.gz").stat().st_mtime_ns
    fetch(collection(urls=(url,)), place)
    assert (place / "images-idx3-ubyte.gz").stat().st_mtime_ns == before


def test_a_bad_download_leaves_nothing_under_its_name(tmp_path, served):
    source, url = served
    put(source, images=IMAGES[::-1])
    with pytest.raises(UsageError, match=r"download of images-idx3-ubyte.gz is no good: it is not the published file"):
        fetch(collection(urls=(url,)), tmp_path / "place")
    assert list((tmp_path / "place").iterdir()) == []
    (source / "images-idx3-ubyte.gz").write_bytes(b"<html>sorry</html>")
    with pytest.raises(UsageError, match="no good: it is a web page"):
        fetch(collection(urls=(url,)), tmp_path / "place")
    with pytest.raises(UsageError, match=r"no download from .*toy needs 2 files"):
        fetch(collection(urls=(url + "nowhere/",)), tmp_path / "place")


def test_files_are_taken_out_of_an_archive(tmp_path, served):
    source, url = served
    put(source)
    with zipfile.ZipFile(source / "all.zip", "w") as packed:
        for name in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"):
            packed.write(source / name, f"gzip/{name}")
    md5 = hashlib.md5((source / "all.zip").read_bytes()).hexdigest()
    fetch(collection(archives=(url + "all.zip",), archive_md5=md5), tmp_path / "place")
    assert load(collection(), tmp_path / "place")[1].verified
    with pytest.raises(UsageError, match="no download from"):
        fetch(collection(archives=(url + "all.zip",), archive_md5="0" * 32), tmp_path / "other")


def test_a_full_disk_keeps_what_is_finished(tmp_path, served, monkeypatch):
    source, url = served
    put(source)
    from nica_bench.images import download

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(download.os, "replace", full)
        with pytest.raises(NicaBenchError, match="the disk is full; files that were finished are kept"):
            fetch(collection(urls=(url,)), tmp_path / "place")
    assert list((tmp_path / "place").iterdir()) == []
