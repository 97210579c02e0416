"""Arrays in a safetensors file that is whole or not at all, with a digest that shows damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import NicaBenchError
from nica_bench.files.atomic import reason, write_whole

__all__ = ["TensorFileError", "read_metadata", "read_tensors", "write_tensors"]

_DIGEST = "sha256"


class TensorFileError(NicaBenchError):
    """A file of arrays cannot be read; names it, what was expected and what was found."""


def write_tensors(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write arrays in place of what is there; the folder is made where it is missing.

    Args:
        path: of the file.
        arrays: arrays by name, of any shape, of numbers or booleans.
        metadata: strings that come with them.

    Raises:
        OSError: if it cannot be written; what was there before is left as it was.
    """
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in arrays.items()}
    packed = save(whole, metadata={**metadata, _DIGEST: _digest(whole)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, packed)


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays and the metadata of a file.

    Raises:
        FileNotFoundError: if there is none.
        TensorFileError: if it is no safetensors file of nica-bench, cut off or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        packed = path.read_bytes()
        metadata = _metadata(packed)
        arrays = load(packed)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise TensorFileError(f"{path}: expected a whole safetensors file, found {reason(error)}") from error
    expected, found = metadata.pop(_DIGEST, "none"), _digest(arrays)
    if expected != found:
        raise TensorFileError(f"{path} is damaged: expected arrays of SHA-256 {expected}, found {found}")
    return arrays, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """Only the metadata of a file, whose arrays are not looked at; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            return _metadata(start + file.read(int.from_bytes(start, "little")))
    except (OSError, ValueError, KeyError, MemoryError, OverflowError):
        return {}


def _metadata(packed: bytes) -> dict[str, str]:
    """What the header of a safetensors file says beside names, types and places."""
    size = int.from_bytes(packed[:8], "little")
    if len(packed) < 8 + size:
        raise ValueError(f"{len(packed)} bytes where its header alone needs {8 + size}")
    return dict(json.loads(packed[8 : 8 + size])["__metadata__"])


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
