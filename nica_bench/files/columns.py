"""Arrays by name from a data file: npz, CSV or Parquet, checked for kind and size before anything is read."""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import UsageError

__all__ = ["MOST_BYTES", "READERS", "read_bounded", "read_columns"]

MOST_BYTES = 8 << 30
"""Largest data file, and largest content of one after decompression."""

Arrays = dict[str, NDArray[Any]]


def read_bounded(path: str, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file.

    Raises:
        UsageError: if there is no such file, it is no regular file, it is larger than `most` bytes or cannot be read.
    """
    try:
        # without O_NONBLOCK the opening of a named pipe would wait for its other end
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"data file {path}: expected a regular file")
            if found.st_size > most:
                raise UsageError(f"data file {path}: expected at most {most:,} bytes, got {found.st_size:,}")
            return file.read(most + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no data file {path}") from None
    except OSError as error:
        raise UsageError(f"data file {path} cannot be read: {error.strerror or error}") from error


def read_columns(content: bytes, suffix: str, path: str) -> tuple[Arrays, list[str]]:
    """The arrays x, u, z, split and image_shape of a data file, those that it has.

    An npz has them by these names. A CSV or Parquet file has a column for each: x0, x1, ... or x_name, u, z0, z1, ...
    or z_name, split.

    Args:
        content: of the file.
        suffix: a key of `READERS`.
        path: for messages.

    Returns:
        The arrays by name, and the names in the file that are not used.

    Raises:
        UsageError: if the content is not of its kind, holds pickled objects or is too large when decompressed.
    """
    try:
        return READERS[suffix](content)
    except UsageError as error:
        raise UsageError(f"data file {path}: {error}") from error
    except Exception as error:  # whatever a reader of broken content raises
        what = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"data file {path} is not read as {suffix[1:]}: {what}") from error


def _npz(content: bytes) -> tuple[Arrays, list[str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_size(sum(member.file_size for member in archive.infolist()))
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        known = ("x", "u", "z", "split", "image_shape")
        return {name: file[name] for name in known if name in file.files}, [n for n in file.files if n not in known]


def _csv(content: bytes) -> tuple[Arrays, list[str]]:
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(content))
    return _of_table([str(name) for name in frame.columns], {str(n): frame[n].to_numpy() for n in frame.columns})


def _parquet(content: bytes) -> tuple[Arrays, list[str]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(content))
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    cells = file.metadata.num_rows * file.metadata.num_columns
    _check_size(max(sum(group.total_byte_size for group in groups), 8 * cells))
    table = file.read()
    return _of_table(table.column_names, {name: table[name].to_numpy() for name in table.column_names})


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise UsageError(f"expected at most {MOST_BYTES:,} bytes after decompression, got {size:,}")


def _of_table(names: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> tuple[Arrays, list[str]]:
    if len(set(names)) < len(names):
        raise UsageError("two columns have one name")
    arrays: Arrays = {}
    used: set[str] = {"u", "split"} & set(names)
    for letter in "xz":
        mine = _in_order(letter, names)
        used.update(mine)
        if mine:
            texts = [name for name in mine if columns[name].dtype.kind not in "fiub"]
            if texts:
                raise UsageError(f"column {texts[0]} needs real numbers, got {columns[texts[0]].dtype}")
            arrays[letter] = np.column_stack([columns[name] for name in mine])
    for name in ("u", "split"):
        if name in used:
            column = columns[name]
            if column.dtype.kind in "fO" and any(value is None or value != value for value in column.tolist()):
                raise UsageError(f"column {name} has empty cells")
            arrays[name] = column.astype(str) if column.dtype.kind == "O" else column
    return arrays, [name for name in names if name not in used]


def _in_order(letter: str, names: Sequence[str]) -> list[str]:
    """Columns x0, x1, ... by their number, then x_name in the order of the file."""
    numbered = [name for name in names if re.fullmatch(rf"{letter}\d+", name)]
    return sorted(numbered, key=lambda name: int(name[1:])) + [n for n in names if re.fullmatch(rf"{letter}_.+", n)]


READERS: dict[str, Callable[[bytes], tuple[Arrays, list[str]]]] = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}
"""What reads a data file, by the ending of its name."""
