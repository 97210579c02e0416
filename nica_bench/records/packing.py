"""Packing finished runs: the records of a folder into one Parquet file, and their arrays into archives.

Nothing is lost, whenever this is killed: the archive is whole and on the disk before a record says that its arrays are
in it, the Parquet file is whole and on the disk before it takes the place of the one before, and only then, where that
was asked for, are the runs' own files removed, each only if it is still the file that was packed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from nica_bench.errors import UsageError
from nica_bench.files.atomic import locked, put_in_place, reason, sync_folder, temporary
from nica_bench.records.folder import StoreError, list_runs
from nica_bench.records.parquet import PACK_NAME, Pack, Row, schema, table_of
from nica_bench.records.store import Store

__all__ = ["MANY_ARRAYS", "Arrays", "Packed", "pack_runs"]

Arrays = Literal["auto", "pack", "leave"]

MANY_ARRAYS = 1000
"""From this many files of arrays on, `auto` packs them: below, a file a run is handier and costs nothing."""

_ROWS = 2048  # records in memory at once, and in a row group

_Stamp = tuple[int, int, int]


@dataclass
class Packed:
    """What was packed.

    Args:
        path: the Parquet file.
        runs: records in it.
        new: of these, records that came from files of their own this time.
        arrays: sets of arrays that were packed this time.
        removed: files that were removed.
        left: why a file was not packed, by path; it stays where it is.
    """

    path: Path
    runs: int = 0
    new: int = 0
    arrays: int = 0
    removed: int = 0
    left: dict[Path, str] = field(default_factory=dict)


def pack_runs(store: Store, *, arrays: Arrays = "auto", remove: bool = False, only: Set[str] | None = None) -> Packed:
    """Pack the runs of a folder, beside what is packed there already. A record of its own goes before a packed one.

    Memory does not grow with the size of records or arrays, only (by some hundred bytes) with the number of runs.

    Args:
        store: the folder; runs may be written into it meanwhile, and stay.
        arrays: put arrays into an archive, leave them in files of their own, or decide by their number.
        remove: remove files that were packed.
        only: keys of the runs that the file is to hold; None is all that are there.

    Raises:
        UsageError: if there is nothing to pack, or the present Parquet file cannot be read.
        StoreError: if a file cannot be written; what was there is left as it was.
    """
    result = Packed(store.folder / PACK_NAME)
    try:
        with locked(store.folder):
            _pack(store, result, arrays, remove, only)
    except OSError as error:
        raise StoreError(f"cannot write {result.path}: {reason(error)}; the runs are left as they were") from error
    return result


def _pack(store: Store, result: Packed, arrays: Arrays, remove: bool, only: Set[str] | None) -> None:
    store.clean()
    listing = list_runs(store.runs)
    keys = [key for key in listing.records if only is None or key in only]
    before = Pack.open(result.path) if result.path.exists() else None
    if before is None and not keys:
        raise UsageError(f"{store.folder} holds no finished runs to collect")
    _clear(store.folder, before)
    into_archive = arrays == "pack" or (arrays == "auto" and len(listing.arrays) >= MANY_ARRAYS)
    packed: dict[str, tuple[_Stamp, _Stamp | None]] = {}
    with _written(result.path, into_archive) as writer:
        # What is new is written first: which of the runs before it takes the place of, is known when it is whole.
        writer.write(_own_rows(store, keys, writer, result, packed))
        result.new = len(packed)
        if before is not None:
            kept = (row for row in before.rows() if row.record.key not in packed)
            writer.write(row for row in kept if only is None or row.record.key in only)
    result.runs, result.arrays = writer.rows, writer.members
    if remove:
        result.removed = _remove(store, packed)


class _Writer:
    """Writes a Parquet file and an archive beside it, both under names that nobody reads yet."""

    def __init__(self, path: Path, into_archive: bool) -> None:
        import pyarrow.parquet as pq

        stamp = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.parquet = temporary(path.parent, b"")
        self.rows = self.members = 0
        self._writer = pq.ParquetWriter(self.parquet, schema(), compression="zstd", write_page_checksum=True)
        self.archive = temporary(path.parent, b"") if into_archive else None
        self.archive_name = f"arrays-{stamp[-16:]}.zip"
        self._zip = zipfile.ZipFile(self.archive, "w", allowZip64=True) if self.archive else None

    def store(self, name: str, packed: bytes) -> tuple[str, int] | None:
        """Put a file into the archive, where there is one; the archive's name, and where the file begins in it."""
        if self._zip is None:
            return None
        self.members += 1
        # An npz is compressed already, and a ZipInfo of its own has no date.
        self._zip.writestr(zipfile.ZipInfo(name), packed, zipfile.ZIP_STORED)
        assert self._zip.fp is not None
        return self.archive_name, self._zip.fp.tell() - len(packed)

    def write(self, rows: Iterable[Row]) -> None:
        """Write records as row groups."""
        rows = iter(rows)
        while group := list(islice(rows, _ROWS)):
            self._writer.write_table(table_of(group))
            self.rows += len(group)

    def close(self) -> None:
        """End both files."""
        self._writer.close()
        if self._zip is not None:
            self._zip.close()

    def leftovers(self) -> Iterator[Path]:
        """The files under their temporary names."""
        yield self.parquet
        if self.archive is not None:
            yield self.archive


@contextlib.contextmanager
def _written(path: Path, into_archive: bool) -> Iterator[_Writer]:
    """A writer whose files appear whole, the archive first, when the block ends well; else nothing is changed."""
    writer = _Writer(path, into_archive)
    try:
        try:
            yield writer
        finally:
            writer.close()
        for file in writer.leftovers():
            _flush(file)
        if writer.archive is not None and writer.members:
            put_in_place(writer.archive, path.parent / writer.archive_name)
        put_in_place(writer.parquet, path)
    finally:
        for file in writer.leftovers():
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _own_rows(
    store: Store, keys: Sequence[str], writer: _Writer, result: Packed, packed: dict[str, Any]
) -> Iterator[Row]:
    """Whole records of files of their own; their arrays go into the archive on the way."""
    folder = os.fspath(store.runs)
    for key in keys:
        path, npz = f"{folder}/{key}.json", f"{folder}/{key}.npz"
        try:
            stamp = _stamp(path)
            record, content = store.load(key)
            if max(record.spec.seed, record.spec.training_seed) >= 2**63:
                raise StoreError("its seed is beyond 2**63, which Parquet cannot hold")
            stored, npz_stamp = None, None
            if content is not None:
                npz_stamp = _stamp(npz)
                stored = writer.store(f"{key}.npz", content)
        except FileNotFoundError:  # replaced at this moment, or removed
            continue
        except StoreError as error:
            result.left[Path(path)] = str(error)
            continue
        packed[key] = (stamp, npz_stamp if stored else None)
        yield Row(record, *(stored or (None, None)))


def _stamp(path: str) -> _Stamp:
    """What tells a file from one that has taken its place."""
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size


def _remove(store: Store, packed: dict[str, tuple[_Stamp, _Stamp | None]]) -> int:
    """Remove the files that were packed and are still the same; how many."""
    removed = 0
    folder = os.fspath(store.runs)
    with locked(store.runs):  # nobody replaces a run between the look and the removal
        for key, (stamp, npz_stamp) in packed.items():
            path, npz = f"{folder}/{key}.json", f"{folder}/{key}.npz"
            with contextlib.suppress(FileNotFoundError):
                if _stamp(path) != stamp:
                    continue
                os.unlink(path)
                removed += 1
                if npz_stamp is not None and _stamp(npz) == npz_stamp:
                    os.unlink(npz)
                    removed += 1
    sync_folder(store.runs)
    return removed


def _clear(folder: Path, before: Pack | None) -> None:
    """Remove archives that nothing leads to: a collect was killed, and under the lock there is no other at it."""
    used = before.archives if before is not None else set()
    for path in folder.glob("arrays-*.zip"):
        if path.name not in used:
            with contextlib.suppress(OSError):
                path.unlink()
