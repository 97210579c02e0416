"""A file of many records (`nica_bench.records.parquet_layout`), opened for reading."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.files.atomic import reason
from nica_bench.files.npz import unpack
from nica_bench.records.parquet_layout import FORMAT_KEY, PACK_FORMAT, RECORD_KEY
from nica_bench.records.parquet_rows import Rows
from nica_bench.records.record import RECORD_FORMAT, Record, Status

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PACK_NAME", "Outline", "Pack"]

PACK_NAME = "records.parquet"
"""Name of the file in a folder of records."""


@dataclass(frozen=True)
class Outline:
    """What is known of a run without reading its record whole."""

    key: str
    scenario: str
    method: str
    seed: int
    training_seed: int
    status: Status


@dataclass(frozen=True)
class Pack:
    """A file of records. Make one with `Pack.open`.

    Args:
        path: the file.
    """

    path: Path

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Check that a file is one.

        Raises:
            UsageError: if it does not exist, is no Parquet file, is no file of records, or is of a newer nica-bench.
        """
        import pyarrow as pa

        pack = cls(Path(path).absolute())
        if not pack.path.exists():
            raise UsageError(f"{path} does not exist")
        try:
            metadata = pack._file.schema_arrow.metadata or {}
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"{path} cannot be read: {_reason(error)}") from error
        number = metadata.get(FORMAT_KEY)
        if number is None:
            raise UsageError(
                f"{path} is a Parquet file, but not one of records: expected what `nica-bench collect` writes "
                "(what `table --save` writes is for other programs)"
            )
        if int(number) > PACK_FORMAT or int(metadata.get(RECORD_KEY, b"0")) > RECORD_FORMAT:
            raise UsageError(f"{path} was written by a newer nica-bench: update nica-bench")
        return pack

    @functools.cached_property
    def _file(self) -> Any:
        import pyarrow.parquet as pq

        # opened once: the file may be replaced meanwhile, and what is open stays whole
        return pq.ParquetFile(self.path, memory_map=False, page_checksum_verification=True)

    @functools.cached_property
    def shared(self) -> dict[str, Any]:
        """Values of the texts that many records have in common."""
        return {}

    @functools.cached_property
    def words(self) -> dict[str, str]:
        """The texts that many records have in common, one object each."""
        return {}

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        """Names of its columns: a file of an older nica-bench may lack some."""
        return frozenset(self._file.schema_arrow.names)

    @functools.cached_property
    def places(self) -> Mapping[str, tuple[int, int]]:
        """Row group and row of each run, by key."""
        found: dict[str, tuple[int, int]] = {}
        for group in range(self._file.num_row_groups):
            for i, key in enumerate(Rows(self, group).values("key")):
                found[key] = (group, i)
        return found

    @property
    def archives(self) -> set[str]:
        """Names of the archives that hold arrays of its records."""
        groups = range(self._file.num_row_groups)
        return {name for group in groups for name in Rows(self, group).values("archive") if name}

    def outlines(self) -> Iterator[Outline]:
        """What is known of each run at once; only the columns it takes are read."""
        names = ["key", "scenario_label", "method_label", "seed", "init", "status"]
        for group in range(self._file.num_row_groups):
            rows = Rows(self, group)
            for key, scenario, method, seed, training_seed, status in zip(*map(rows.values, names), strict=True):
                yield Outline(key, scenario, method, seed, training_seed, Status(status))

    def batches(self) -> Iterator[pa.Table]:
        """The rows as they lie, a row group at a time."""
        for group in range(self._file.num_row_groups):
            yield self.read_columns(group, None)

    def records(self, without: Container[str] = frozenset()) -> Iterator[Record]:
        """The records, in the order of the file.

        Args:
            without: keys of those to leave out.

        Raises:
            UsageError: if the file is damaged.
        """
        for group in range(self._file.num_row_groups):
            yield from Rows(self, group).records(without)

    def read(self, key: str) -> Record | None:
        """The record of a run, or None where there is none."""
        place = self.places.get(key)
        return None if place is None else next(r for r in Rows(self, place[0]).records(frozenset()) if r.key == key)

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of a run by name; none where it has none. Raises ValueError, OSError or zipfile.BadZipFile."""
        packed = self.packed_arrays(key)
        return {} if packed is None else unpack(packed)

    def packed_arrays(self, key: str) -> bytes | None:
        """The npz of a run as it was written, or None where it has none.

        Raises:
            KeyError: if there is no such run.
            OSError, ValueError: if the npz is not there, or is not the one that the record describes.
        """
        group, i = self.places[key]
        return Rows(self, group).packed_arrays(i)

    def read_columns(self, group: int, columns: list[str] | None) -> pa.Table:
        """Columns of a row group, or all of them. Raises UsageError where the file is damaged."""
        import pyarrow as pa

        try:
            return self._file.read_row_group(group, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{self.path} is damaged: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
