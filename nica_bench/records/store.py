"""A folder of records that survives whatever happens to the processes that write it.

`<folder>/cells/<key>.json` is the record of a run and `<key>.npz` its arrays, where it has some. A file appears under
its name only when it is whole and on the disk; the record comes last, so that a run is there when its record is.
`<folder>/weights/<key>.safetensors` has a trained model's weights where they were kept, and `<folder>/checkpoints` the
states of fits that are not finished.
Runs that were packed (`nica_bench.records.packing`) are in `<folder>/records.parquet`; a record file takes precedence.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.files.atomic import locked, put_in_place, reason, remove_stale, temporary
from nica_bench.files.npz import pack, unpack
from nica_bench.files.tensors import TensorFileError, read_tensors, write_tensors
from nica_bench.records.file import Scan, encode_record, read_record_file
from nica_bench.records.folder import CELLS, RECORD_NAME, StoreError, check_folder, list_runs, prepare_folder
from nica_bench.records.parquet import PACK_NAME, Pack
from nica_bench.records.record import ArraysFile, Record
from nica_bench.records.spec import RecordError

__all__ = ["Store", "StoreError"]

_WEIGHTS = "weights"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Store:
    """Records below a folder. Make one with `Store.open`, which checks the folder.

    Args:
        folder: the folder given with --out.
    """

    folder: Path

    @classmethod
    def open(cls, folder: Path | str, create: bool = True) -> Self:
        """Check a folder and, unless it is only read, prepare it.

        Args:
            folder: one that does not exist or is empty, or one that holds nica-bench records.
            create: make what is missing and check that it can be written to; False: the folder must hold records, or
                have been prepared for them, and may be read-only.

        Raises:
            UsageError: if the folder is a file, holds something else, belongs to a newer nica-bench, or cannot be
                written to; with the reason.
        """
        store = cls(Path(folder).absolute())
        try:
            check_folder(store.folder, create)
            if create:
                prepare_folder(store.folder)
        except OSError as error:
            verb = "written to" if create else "read"
            raise UsageError(f"{folder} cannot be {verb}: {reason(error)}; choose another folder with --out") from error
        return store

    @classmethod
    def preview(cls, folder: Path | str) -> Self:
        """Check a folder like `open` but make nothing in it: one that does not exist holds no records.

        Raises:
            UsageError: as `open`.
        """
        store = cls(Path(folder).absolute())
        try:
            check_folder(store.folder, create=True)
        except OSError as error:
            raise UsageError(f"{folder} cannot be read: {reason(error)}; choose another folder with --out") from error
        return store

    @property
    def runs(self) -> Path:
        """The folder of the records."""
        return self.folder / CELLS

    @property
    def pack(self) -> Pack | None:
        """The packed records, or None where there are none. Raises UsageError where the file cannot be read."""
        path = self.folder / PACK_NAME
        return Pack.open(path) if path.exists() else None

    def checkpoint(self, keys: Sequence[str]) -> Path:
        """The file for the state of a fit of one run, or of several at once, by their keys."""
        name = keys[0] if len(keys) == 1 else hashlib.sha256("\n".join(keys).encode()).hexdigest()
        return self.folder / _CHECKPOINTS / f"{name}.safetensors"

    def weights(self, key: str) -> dict[str, NDArray[Any]]:
        """The weights of a run by name.

        Raises:
            StoreError: if none were kept, or the file is broken or that of another run.
        """
        path = self._weights_path(key)
        try:
            arrays, found = read_tensors(path)
        except FileNotFoundError:
            raise StoreError(f"{path} does not exist: no weights were kept of this run") from None
        except TensorFileError as error:
            raise StoreError(str(error)) from error
        if found.get("key") != key:
            raise StoreError(f"{path}: expected the weights of run {key}, found those of {found.get('key', 'no cell')}")
        return arrays

    def write(
        self,
        record: Record,
        arrays: Mapping[str, NDArray[Any]] | None = None,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> Record:
        """Write a run in place of what is there under its key. Safe where several processes write at once.

        Args:
            record: its field `arrays` is not looked at.
            arrays: arrays by name (letters, digits, '_', '-', '.'), of any shape and of any type but object.
            weights: a trained model's arrays by name, where they are to be kept.

        Returns:
            The record with its field `arrays` filled in: None where there are none.

        Raises:
            StoreError: if an array cannot be stored without pickles, or the files cannot be written; what was there
                before is left as it was (unless it is the renaming that fails).
        """
        npz = self._path(record.key, ".npz")
        try:
            packed = pack(arrays) if arrays else None
        except ValueError as error:
            raise StoreError(f"cannot write {npz}: {error}") from error
        described = None
        if packed:
            digest = hashlib.sha256(packed).hexdigest()
            described = ArraysFile(npz.name, len(packed), digest, tuple(arrays or ()))
        record = msgspec.structs.replace(record, arrays=described)
        self.put(record, packed, weights)
        return record

    def put(self, record: Record, packed: bytes | None, weights: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Write a run as it was in another store.

        Args:
            record: with its field `arrays` as it is to be.
            packed: the content of its npz, which that field describes.
            weights: as in `write`.

        Raises:
            StoreError: as `write`.
        """
        path, npz = self._path(record.key), self._path(record.key, ".npz")
        content = encode_record(record)
        waiting: list[Path] = []
        try:
            # All that needs space on the disk is done before anything that others see is touched. Weights are not
            # part of the record: with old weights and no record, or new ones, the run is computed again.
            if weights:
                write_tensors(self._weights_path(record.key), weights, {"key": record.key})
            if packed:
                waiting.append(temporary(self.runs, packed))
            waiting.append(temporary(self.runs, content))
            with locked(self.runs):
                # Between the renames below, a kill must leave a missing run, not old numbers with new arrays.
                if packed or npz.exists():
                    path.unlink(missing_ok=True)
                if packed:
                    put_in_place(waiting[0], npz)
                else:
                    npz.unlink(missing_ok=True)
                put_in_place(waiting[-1], path)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {reason(error)}; finished runs are kept") from error
        finally:
            for leftover in waiting:
                with contextlib.suppress(OSError):
                    leftover.unlink(missing_ok=True)

    def read(self, key: str) -> Record:
        """The record of a run. Raises StoreError where there is none or it is broken."""
        return self._found(key)[0]

    def _found(self, key: str) -> tuple[Record, Pack | None]:
        """The record of a run, and the file of packed ones that it is from, None where it has a file of its own."""
        path = self._path(key)
        try:
            return read_record_file(path), None
        except FileNotFoundError:
            packed = self.pack
            record = packed.read(key) if packed else None
            if record is None:
                raise StoreError(f"{path} does not exist") from None
            return record, packed
        except (OSError, RecordError) as error:
            raise StoreError(f"{path} is broken: {reason(error)}") from error

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of a run by name; none where it has none.

        Raises:
            StoreError: if the run is missing or broken, or its arrays are not those that its record describes.
        """
        packed = self.load(key)[1]
        try:
            return {} if packed is None else unpack(packed)
        except (ValueError, zipfile.BadZipFile) as error:
            raise StoreError(f"{self._path(key, '.npz')} is broken: {reason(error)}") from error

    def load(self, key: str) -> tuple[Record, bytes | None]:
        """The record of a run and the content of its npz, None where it has no arrays.

        Raises:
            StoreError: if the run is missing or broken, or its arrays are not those that its record describes.
        """
        record, pack = self._found(key)
        if record.arrays is None:
            return record, None
        path = self._path(key, ".npz")
        try:
            if pack is not None:
                return record, pack.packed_arrays(key)
            packed = path.read_bytes()
            if self.read(key).arrays != record.arrays:  # the run was replaced meanwhile
                return self.load(key)
            if hashlib.sha256(packed).hexdigest() != record.arrays.sha256:
                raise ValueError("its SHA-256 is not the one in the record")
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is broken: {reason(error)}") from error
        return record, packed

    def scan(self, keys: Iterable[str] | None = None) -> Scan:
        """Read records. Of arrays only the size is checked; files that vanish meanwhile are left out.

        Args:
            keys: of the runs to read, in this order; None reads all that are there, in the order of their keys.

        Raises:
            StoreError: if the folder cannot be listed.
        """
        scan = Scan()
        wanted = None if keys is None else dict.fromkeys(keys)
        names = list_runs(self.runs).records if wanted is None else ()
        paths = [self.runs / f"{name}.json" for name in names] if wanted is None else map(self._path, wanted)
        for path in paths:
            try:
                record = read_record_file(path)
                scan.records[record.key] = record
            except FileNotFoundError:
                continue
            except (OSError, RecordError) as error:
                scan.broken[path] = reason(error)
        # Only now: a run that is packed meanwhile is in the pack before its own file goes.
        packed = self.pack
        if packed is not None:
            found = {r.key: r for r in packed.records(without=scan.records.keys()) if wanted is None or r.key in wanted}
            scan.records.update(found)
            order = sorted(scan.records) if wanted is None else wanted
            return Scan({key: scan.records[key] for key in order if key in scan.records}, scan.broken)
        return scan

    def find(self, prefix: str) -> str:
        """The key of the one run whose key begins so.

        Args:
            prefix: 4 to 64 hexadecimal digits.

        Raises:
            UsageError: if there is no such run or there are several, or the prefix is too short.
        """
        if not re.fullmatch(r"[0-9a-fA-F]{4,64}", prefix):
            raise UsageError(f"a key is given by its first 4 to 64 hexadecimal digits, got '{prefix}'")
        own = {name for name in list_runs(self.runs).records if RECORD_NAME.fullmatch(f"{name}.json")}
        packed = self.pack
        keys = sorted(own.union(packed.places if packed else ()))
        found = [key for key in keys if key.startswith(prefix.lower())]
        if not found:
            raise UsageError(f"no run in {self.folder} has a key that begins with '{prefix}' ({len(keys)} runs)")
        if len(found) > 1:
            some = ", ".join(key[:12] for key in found[:5]) + (", ..." if len(found) > 5 else "")
            raise UsageError(f"{len(found)} runs have a key that begins with '{prefix}': {some}")
        return found[0]

    def clean(self) -> int:
        """Remove what killed processes left half-written an hour ago or longer; the number of files removed."""
        folders = [self.folder, self.runs, self.folder / _WEIGHTS, self.folder / _CHECKPOINTS]
        return sum(remove_stale(folder) for folder in folders)

    def _weights_path(self, key: str) -> Path:
        return self.folder / _WEIGHTS / f"{self._path(key).stem}.safetensors"

    def _path(self, key: str, suffix: str = ".json") -> Path:
        if not RECORD_NAME.fullmatch(key + ".json"):
            raise StoreError(f"a key has 64 hexadecimal digits, got '{key}'")
        return self.runs / (key + suffix)
