"""Arrays in one file: an npz without pickles and without dates."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack", "unpack"]


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz in memory. Unlike `np.savez` it holds no date: the same arrays always give the same bytes.

    Args:
        arrays: arrays by name (letters, digits, '_', '-', '.'), of any shape and of any type but object.

    Raises:
        ValueError: if a name or a type is another.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in arrays.items():
            array = np.asarray(values)
            if array.dtype.hasobject:
                raise ValueError(f"array '{name}' should hold numbers, got type {array.dtype}")
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise ValueError(f"names of arrays are letters, digits and '_-.', got '{name}'")
            member = zipfile.ZipInfo(name + ".npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with file.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
    return buffer.getvalue()


def unpack(packed: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an npz by name. Raises ValueError or zipfile.BadZipFile where it is none."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
