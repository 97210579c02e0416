"""Collections of image files: where they lie, whether they are the published ones, and their downloads."""

import contextlib
import dataclasses
import errno
import gzip
import hashlib
import http.server
import io
import os
import threading
import zipfile

import numpy as np
import pytest

from helpers.images import idx_bytes, shared_digits, write
from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.images import COLLECTIONS, ImageCollection, ImageFile, check_file, data_folder, fetch, load, locate

IMAGES = np.random.default_rng(0).integers(256, size=(20, 4, 4)).astype(np.uint8)
LABELS = (np.arange(20) % 10).astype(np.uint8)


def contents(array):
    return hashlib.sha256(idx_bytes(array)).hexdigest()


def packed(array):
    return gzip.compress(idx_bytes(array), mtime=0)


FILES = (
    ImageFile("images.gz", 20, 4, contents(IMAGES)),
    ImageFile("labels.gz", 20, None, contents(LABELS)),
)
TINY = ImageCollection("tiny", "Tiny", None, FILES)


def put(folder, images=IMAGES, labels=LABELS):
    folder.mkdir(exist_ok=True)
    write(folder / "images.gz", idx_bytes(images))
    write(folder / "labels.gz", idx_bytes(labels))
    return folder


def unchecked(images=IMAGES, labels=LABELS):
    """The collection with no checksums, for files of these sizes."""
    files = ImageFile("images.gz", len(images), 4), ImageFile("labels.gz", len(labels))
    return ImageCollection("tiny", "Tiny", None, files)


def test_contents_are_compared_not_the_compression(tmp_path):
    write(tmp_path / "images", idx_bytes(IMAGES), packed=False)
    (tmp_path / "labels.gz").write_bytes(gzip.compress(idx_bytes(LABELS), 1, mtime=77))
    assert load(TINY, tmp_path)[1].verified


def test_a_subfolder_of_the_name_is_looked_into(tmp_path):
    put(tmp_path / "tiny")
    assert set(locate(TINY, tmp_path)) == set(FILES)


def test_a_checksum_that_differs(tmp_path):
    other = IMAGES.copy()
    other[3, 2, 1] ^= 1
    put(tmp_path, other)
    with pytest.raises(UsageError, match=rf"images.gz is not the published file: expected .*{contents(IMAGES)}.*found"):
        load(TINY, tmp_path)


def test_another_number_of_images(tmp_path):
    put(tmp_path, IMAGES[:19])
    with pytest.raises(UsageError, match=r"images.gz: expected 20 x 4 x 4 images, .*found 19 x 4 x 4"):
        load(TINY, tmp_path)


def test_images_and_labels_of_different_counts(tmp_path):
    put(tmp_path, labels=LABELS[:18])
    with pytest.raises(UsageError, match="don't belong together: 20 images, 18 labels"):
        load(unchecked(labels=LABELS[:18]), tmp_path)


def test_a_label_out_of_range(tmp_path):
    wrong = LABELS.copy()
    wrong[7] = 12
    put(tmp_path, labels=wrong)
    with pytest.raises(UsageError, match="labels are 0 to 9, found 12 at place 7"):
        load(unchecked(labels=wrong), tmp_path)


def test_a_folder_without_the_files_says_which_and_how(tmp_path):
    with pytest.raises(UsageError, match="emnist needs 4 files that are not in") as caught:
        load(COLLECTIONS["emnist"], tmp_path)
    text = str(caught.value)
    assert all(file.name in text for file in COLLECTIONS["emnist"].files)
    assert "nica-bench data emnist" in text
    assert "NICA_BENCH_DATA" in text


def test_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path / "a"))
    assert data_folder() == tmp_path / "a"
    assert data_folder(tmp_path / "b") == tmp_path / "b"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--data names a folder"):
        data_folder(tmp_path / "file")


@pytest.mark.parametrize("name", ["mnist", "emnist-subset"])
def test_the_real_files_are_the_published_ones(name):
    folder = shared_digits()
    train, test = load(COLLECTIONS[name], folder)
    assert test.verified
    assert (train is None) == (name == "emnist-subset")


@pytest.mark.parametrize("part", [0, 1])
def test_the_labels_of_emnist_are_the_published_ones(part):
    folder = shared_digits()
    collection = COLLECTIONS["emnist"]
    file = (collection.train, collection.test)[part][1]
    path = locate(collection, folder)[file]
    labels, known = check_file(file, path)
    assert known
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.gz_sha256
    assert set(np.bincount(labels)) == {len(labels) // 10}


# Downloads, from a server on this machine


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.pages.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        cut = self.path in self.server.cut
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    found.pages, found.cut = {}, set()
    found.url = f"http://127.0.0.1:{found.server_port}/"
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


def of(server, **changes):
    return dataclasses.replace(TINY, urls=(server.url,), **changes)


def left(folder):
    return sorted(p.name for p in folder.iterdir())


def test_downloads_what_is_missing_and_keeps_what_is_there(server, tmp_path):
    server.pages = {"/images.gz": packed(IMAGES)}
    write(tmp_path / "labels.gz", idx_bytes(LABELS))
    said = []
    assert set(fetch(of(server), tmp_path, said.append)) == set(FILES)
    assert left(tmp_path) == ["images.gz", "labels.gz"]
    assert any("downloaded; is the published file" in line for line in said)
    assert load(TINY, tmp_path)[1].verified


def test_a_second_address_is_tried(server, tmp_path):
    server.pages = {"/b/images.gz": packed(IMAGES), "/b/labels.gz": packed(LABELS)}
    both = dataclasses.replace(TINY, urls=(server.url + "a/", server.url + "b/"))
    fetch(both, tmp_path)
    assert left(tmp_path) == ["images.gz", "labels.gz"]


def test_what_was_finished_is_kept_when_the_next_fails(server, tmp_path):
    server.pages = {"/images.gz": packed(IMAGES), "/labels.gz": packed(LABELS)}
    server.cut = {"/labels.gz"}
    with pytest.raises(UsageError, match=r"labels\.gz"):
        fetch(of(server), tmp_path)
    assert left(tmp_path) == ["images.gz"]
    server.cut, server.pages["/images.gz"] = set(), b"is not asked for again"
    fetch(of(server), tmp_path)
    assert load(TINY, tmp_path)[1].verified


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>moved</html>", "the download of images.gz is no good: it is a web page"),
        (packed(IMAGES)[:-9], "the download of images.gz is no good: it is cut off or damaged"),
        (packed(IMAGES[::-1]), "the download of images.gz is no good: it is not the published file"),
    ],
)
def test_a_wrong_file_never_gets_its_name(server, tmp_path, body, message):
    server.pages = {"/images.gz": body}
    with pytest.raises(UsageError, match=message):
        fetch(of(server), tmp_path)
    assert left(tmp_path) == []


def test_no_address_answers(server, tmp_path):
    with pytest.raises(UsageError, match=r"no download from http://127.*tiny needs 2 files that are not in"):
        fetch(of(server), tmp_path)


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in files.items():
            file.writestr("gzip/" + name, data)
    return buffer.getvalue()


def of_archive(server, data, **changes):
    server.pages = {"/all.zip": data}
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return dataclasses.replace(TINY, archives=(server.url + "all.zip",), archive_md5=md5, **changes)


def test_files_are_taken_out_of_an_archive(server, tmp_path):
    data = archive({"images.gz": packed(IMAGES), "labels.gz": packed(LABELS), "other.gz": b""})
    fetch(of_archive(server, data), tmp_path)
    assert left(tmp_path) == ["images.gz", "labels.gz"]
    assert load(TINY, tmp_path)[1].verified


def test_the_archive_is_checked(server, tmp_path):
    data = archive({"images.gz": packed(IMAGES), "labels.gz": packed(LABELS)})
    collection = of_archive(server, data)
    server.pages["/all.zip"] = data + b"x"
    with pytest.raises(UsageError, match="no download"):
        fetch(collection, tmp_path)
    with pytest.raises(UsageError, match=r"does not hold labels\.gz"):
        fetch(of_archive(server, archive({"images.gz": packed(IMAGES)})), tmp_path)
    assert left(tmp_path) == ["images.gz"]


def test_a_published_gz_with_no_checksum_of_contents_is_compared_as_it_is(server, tmp_path):
    data = packed(IMAGES)
    file = ImageFile("images.gz", 20, 4, None, hashlib.sha256(data).hexdigest(), len(data))
    collection = dataclasses.replace(TINY, test=(file, FILES[1]), urls=(server.url,))
    server.pages = {"/images.gz": packed(IMAGES[::-1]), "/labels.gz": packed(LABELS)}
    with pytest.raises(UsageError, match="expected the published gzip file with SHA-256"):
        fetch(collection, tmp_path)
    server.pages["/images.gz"] = data
    fetch(collection, tmp_path)
    assert load(collection, tmp_path)[1].verified
    write(tmp_path / "images", idx_bytes(IMAGES), packed=False)  # goes first, and can't be compared
    assert not load(collection, tmp_path)[1].verified


def test_a_disk_that_fills(server, tmp_path, monkeypatch):
    server.pages = {"/images.gz": packed(IMAGES), "/labels.gz": packed(LABELS)}

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nica_bench.images.download.os.replace", full)
    with pytest.raises(NicaBenchError, match=r"the disk is full; files that were finished are kept"):
        fetch(of(server), tmp_path)
    assert left(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    collection = dataclasses.replace(TINY, urls=("http://127.0.0.1:9/",))
    with pytest.raises(NicaBenchError, match="cannot write to"):
        fetch(collection, tmp_path / "file" / "below")
