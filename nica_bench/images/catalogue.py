"""The image files that are known, with the checksums of their contents and where they can be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["COLLECTIONS", "ImageCollection", "ImageFile"]


@dataclass(frozen=True)
class ImageFile:
    """One idx file.

    Args:
        name: its published name, with `.gz`; the same without is the plain file.
        count: images or labels in it.
        side: height and width of its images; None for labels.
        sha256: of the contents (what gunzip gives); None where it was never published. The gzip file itself may be
            compressed again, which changes its own checksum and nothing else.
        gz_sha256: of the published gzip file.
        gz_bytes: its size.
    """

    name: str
    count: int
    side: int | None = None
    sha256: str | None = None
    gz_sha256: str | None = None
    gz_bytes: int | None = None

    @property
    def plain(self) -> str:
        """The name of the file when it is not compressed."""
        return self.name.removesuffix(".gz")


@dataclass(frozen=True)
class ImageCollection:
    """The files of one data set.

    Args:
        name: the scenario's.
        title: for people; it stands wherever results do.
        train, test: images and labels of each part; train is None where there is one part only.
        urls: folders where each file lies under its own name, first choice first.
        archives: zip files that hold all files, wherever in it, first choice first.
        archive_md5: of the archive, as published.
        transposed: the images are stored with rows and columns exchanged.
    """

    name: str
    title: str
    train: tuple[ImageFile, ImageFile] | None
    test: tuple[ImageFile, ImageFile]
    urls: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    archive_md5: str | None = None
    transposed: bool = False

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """All files."""
        return (*(self.train or ()), *self.test)


_MNIST = ImageCollection(
    "mnist",
    "MNIST",
    (
        ImageFile(
            "train-images-idx3-ubyte.gz",
            60_000,
            28,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        ImageFile(
            "train-labels-idx1-ubyte.gz",
            60_000,
            None,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    (
        ImageFile(
            "t10k-images-idx3-ubyte.gz",
            10_000,
            28,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        ImageFile(
            "t10k-labels-idx1-ubyte.gz",
            10_000,
            None,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    urls=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
)

_EMNIST = ImageCollection(
    "emnist",
    "EMNIST Digits",
    (
        ImageFile(
            "emnist-digits-train-images-idx3-ubyte.gz",
            240_000,
            28,
            None,
            "f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726",
            59_515_779,
        ),
        ImageFile(
            "emnist-digits-train-labels-idx1-ubyte.gz",
            240_000,
            None,
            "86013a4b932e35477a90ecff239cf492643795cf3c68dd6b7fae3264fb24316b",
            "6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e",
            113_859,
        ),
    ),
    (
        ImageFile(
            "emnist-digits-test-images-idx3-ubyte.gz",
            40_000,
            28,
            None,
            "20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63",
            9_908_519,
        ),
        ImageFile(
            "emnist-digits-test-labels-idx1-ubyte.gz",
            40_000,
            None,
            "a456cc5cfc928851403b513f94937b9d7570f424ea6d56dce3b28f6c0723608a",
            "bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0",
            19_960,
        ),
    ),
    archives=(
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        "http://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
    ),
    archive_md5="58c8d27c78d21e728a6bc7b3cc06412e",
    transposed=True,
)

_EMNIST_SUBSET = ImageCollection(
    "emnist-subset",
    "600 images of EMNIST Digits",
    None,
    (
        ImageFile(
            "emnist-digits-test-subset600-images-idx3-ubyte.gz",
            600,
            28,
            "cf71af3f5438b2eaa5d5500452a39b21564dcd86acaaa6c2ecb38a4b45d84948",
        ),
        ImageFile(
            "emnist-digits-test-subset600-labels-idx1-ubyte.gz",
            600,
            None,
            "d99f3763bf74d3c30af0209fa984e70b0a5a38e8e1603ed00aaa1be358cb95b4",
        ),
    ),
    transposed=True,
)

COLLECTIONS: Mapping[str, ImageCollection] = {c.name: c for c in (_MNIST, _EMNIST, _EMNIST_SUBSET)}
"""The collections by name."""
