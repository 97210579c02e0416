"""A collection in memory: images as rows of floats, upright, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.images.catalogue import ImageCollection, ImageFile
from nica_bench.images.files import locate, missing_message
from nica_bench.images.verify import check_file

__all__ = ["CLASSES", "LabelledImages", "as_rows", "load"]

CLASSES = 10
"""Digits."""

_CHUNK = 10_000


@dataclass(frozen=True)
class LabelledImages:
    """One part of a collection as it is stored: bytes, maybe transposed.

    Args:
        images: shape (N, height, width).
        labels: shape (N,), in 0..9.
        transposed: rows and columns are exchanged.
        verified: the contents are known to be the published ones.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    transposed: bool
    verified: bool


def load(collection: ImageCollection, folder: Path) -> tuple[LabelledImages | None, LabelledImages]:
    """The training and the test part of a collection; None for a training part that it does not have.

    Raises:
        UsageError: if a file is missing, damaged or not the published one, images and labels differ in number, or a
            label is out of range.
    """
    message = missing_message(collection, folder)
    if message is not None:
        raise UsageError(message)
    found = locate(collection, folder)
    train = None if collection.train is None else _part(collection, collection.train, found)
    return train, _part(collection, collection.test, found)


def _part(
    collection: ImageCollection, files: tuple[ImageFile, ImageFile], found: dict[ImageFile, Path]
) -> LabelledImages:
    images, first = check_file(files[0], found[files[0]])
    labels, second = check_file(files[1], found[files[1]])
    check_pair(images, labels, found[files[0]], found[files[1]])
    return LabelledImages(images, labels, collection.transposed, first and second)


def check_pair(images: NDArray[Any], labels: NDArray[Any], images_path: Path, labels_path: Path) -> None:
    """Check that images and labels belong together. Raises UsageError where they don't."""
    if len(images) != len(labels):
        raise UsageError(
            f"{images_path} and {labels_path} don't belong together: {len(images):,} images, {len(labels):,} labels"
        )
    if labels.size and int(labels.max()) >= CLASSES:
        at = int((labels >= CLASSES).argmax())
        raise UsageError(f"{labels_path}: labels are 0 to {CLASSES - 1}, found {labels[at]} at place {at}")


def as_rows(part: LabelledImages, rows: NDArray[np.integer[Any]] | None = None) -> NDArray[np.float32]:
    """Images as rows of floats in [0, 1], upright, shape (N, height * width), made piece by piece.

    Args:
        part: the images.
        rows: which of them, in this order; None: all.
    """
    order = np.arange(len(part.images)) if rows is None else rows
    height, width = part.images.shape[1:]
    x = np.empty((len(order), height * width), np.float32)
    for start in range(0, len(order), _CHUNK):
        images = part.images[order[start : start + _CHUNK]]
        if part.transposed:
            images = images.transpose(0, 2, 1)
        np.divide(images.reshape(len(images), -1), np.float32(255), out=x[start : start + _CHUNK])
    return x
