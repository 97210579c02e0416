"""Whether an image file is the published one: checksums of the contents, which do not change with the compression."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.files.atomic import reason
from nica_bench.images.catalogue import ImageFile
from nica_bench.images.idx import read_idx

__all__ = ["check_contents", "check_file"]


def check_file(file: ImageFile, path: Path) -> tuple[NDArray[np.uint8], bool]:
    """Read a file and compare it with what was published.

    Args:
        file: what it should be.
        path: where it lies.

    Returns:
        Its array, images (N, side, side) or labels (N,), and whether its contents are known to be the published ones;
        False where only a checksum of the published gzip file exists and this one was compressed anew.

    Raises:
        UsageError: if it is damaged, has another number or size of images, or other contents.
    """
    array = read_idx(path, 1 if file.side is None else 3)
    shape = (file.count,) if file.side is None else (file.count, file.side, file.side)
    if array.shape != shape:
        what = "labels" if file.side is None else "images, height and width"
        raise UsageError(f"{path}: expected {_sizes(shape)} {what}, found {_sizes(array.shape)}")
    return array, check_contents(file, path, array)


def check_contents(file: ImageFile, path: Path, array: NDArray[np.uint8]) -> bool:
    """Whether the contents are known to be the published ones.

    Args:
        file: what it should be.
        path: where it lies.
        array: what it holds.

    Raises:
        UsageError: if a checksum of the contents is known and differs.
    """
    if file.sha256 is not None:
        digest = hashlib.sha256(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape))
        digest.update(np.ascontiguousarray(array).data)
        if digest.hexdigest() != file.sha256:
            raise UsageError(
                f"{path} is not the published file: expected contents with SHA-256 {file.sha256}, "
                f"found {digest.hexdigest()}"
            )
        return True
    return file.gz_sha256 is not None and _sha256(path) == file.gz_sha256


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason(error)}") from error


def _sizes(shape: tuple[Any, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape)
