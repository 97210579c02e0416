"""The idx format of MNIST: a magic number, the sizes, and the values, big-endian (LeCun et al. 1998)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.files.atomic import reason

__all__ = ["is_gzip", "read_idx"]

_TYPES = {0x08: "unsigned bytes", 0x09: "signed bytes", 0x0B: "shorts", 0x0C: "ints", 0x0D: "floats", 0x0E: "doubles"}
_UNSIGNED_BYTES = 0x08
_CHUNK = 1 << 20


def read_idx(path: Path | str, dimensions: int) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes, gzipped or not whatever its name says.

    Args:
        path: the file.
        dimensions: how many axes are expected: 3 for images (N, height, width), 1 for labels (N,).

    Returns:
        Read-only; a plain file is mapped, not copied.

    Raises:
        UsageError: if the file cannot be read, is a web page, is cut off or too long, or holds something else; with
            what was expected and what was found.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            packed = is_gzip(file)
            if not packed:
                shape, offset = _header(path, file, dimensions)
                _check_size(path, offset + math.prod(shape), file.seek(0, 2))
                array: NDArray[Any] = (
                    np.memmap(path, np.uint8, "r", offset, shape) if math.prod(shape) else np.zeros(shape, np.uint8)
                )
                array.setflags(write=False)
                return array
        with gzip.open(path, "rb") as unpacked:
            shape, offset = _header(path, unpacked, dimensions)
            return _unpacked(path, unpacked, shape, offset)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(
            f"{path} is cut off or damaged: its gzip data end early or fail their check ({error})"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason(error)}") from error


def is_gzip(file: BinaryIO) -> bool:
    """Whether an open file holds gzip data; it is left at its start."""
    start = file.read(2)
    file.seek(0)
    return start == b"\x1f\x8b"


def _header(path: Path, file: Any, dimensions: int) -> tuple[tuple[int, ...], int]:
    """The sizes, and where the values begin."""
    start = file.read(4)
    wanted = f"expected an idx file of unsigned bytes with {dimensions} axes (magic number 0x{_magic(dimensions):08x})"
    if len(start) < 4:
        raise UsageError(f"{path} is cut off: {wanted}, found {len(start)} bytes")
    if start.lstrip()[:1] == b"<":
        raise UsageError(f"{path} is a web page, not data (it begins with '{_printable(start)}'): {wanted}")
    (magic,) = struct.unpack(">I", start)
    if magic != _magic(dimensions):
        kind, axes = magic >> 8, magic & 0xFF
        what = f", {_TYPES[kind]} with {axes} axes" if kind in _TYPES and axes else ""
        raise UsageError(f"{path}: {wanted}, found 0x{magic:08x}{what}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise UsageError(f"{path} is cut off: expected {dimensions} sizes after the magic number, found fewer")
    return struct.unpack(f">{dimensions}I", sizes), 4 + 4 * dimensions


def _magic(dimensions: int) -> int:
    return _UNSIGNED_BYTES << 8 | dimensions


def _printable(start: bytes) -> str:
    return start.decode("ascii", "replace").strip()


def _unpacked(path: Path, file: Any, shape: tuple[int, ...], offset: int) -> NDArray[np.uint8]:
    """The values of a gzipped file; a header that promises too much costs no more memory than the file has data."""
    wanted, buffer = math.prod(shape), bytearray()
    while block := file.read(min(_CHUNK, wanted + 1 - len(buffer))):
        buffer += block
        if len(buffer) > wanted:
            break
    _check_size(path, offset + wanted, offset + len(buffer))
    array = np.frombuffer(buffer, np.uint8).reshape(shape)
    array.setflags(write=False)
    return array


def _check_size(path: Path, expected: int, found: int) -> None:
    if found < expected:
        raise UsageError(f"{path} is cut off: its header promises {expected:,} bytes, found {found:,}")
    if found > expected:
        raise UsageError(f"{path} is longer than its header promises: expected {expected:,} bytes, found more")
