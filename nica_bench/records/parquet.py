"""A file of many records.

A row is a record. What identifies a run, its outcome and the sizes of its data are columns of their own (`key`,
`scenario`, `method_label`, `seed`, `status`, ...), so that any Parquet reader can count and filter; every other field
of the record is its JSON text. Of the provenance the two times stand apart, because the rest is the same in thousands
of records and is kept, and parsed, once. Arrays lie beside the file in ZIP archives whose members are the npz files,
stored as they were; `archive` and `offset` lead to one without reading the archive's directory.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.files.atomic import reason
from nica_bench.files.npz import unpack
from nica_bench.records.format1 import RecordFormat1
from nica_bench.records.plain import json_bytes
from nica_bench.records.record import RECORD_FORMAT, Record, Status
from nica_bench.records.spec import RunSpec

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PACK_NAME", "Outline", "Pack", "Row", "schema", "table_of"]

PACK_NAME = "records.parquet"
"""Name of the file in a folder of records."""
PACK_FORMAT = 1
"""Number of the layout, in the file's metadata."""
FORMAT_KEY, RECORD_KEY = b"nica_bench.pack", b"nica_bench.record"
"""In the file's metadata: the number of the layout, and that of the records."""

_TEXTS = (
    "key", "scenario", "scenario_label", "scenario_version", "method", "method_label", "method_version",
    "status", "kind", "message", "side_information",
)  # fmt: skip
_NUMBERS = ("seed", "init", "n_latents", "n_observed")
_TIMES = ("started", "ended")
_JSON = (
    "scenario_parameters", "method_parameters", "image_shape", "notes",
    "truth", "difficulty", "scores", "dimensions", "training", "cost", "provenance", "arrays",
)  # fmt: skip
_SHARED = frozenset((*_TEXTS, *_JSON[:4], "told", "provenance")) - {"key"}
"""Columns with few different values: each is made once, and is one object in all records that have it."""
_SPEC = tuple(f.encode_name for f in msgspec.structs.fields(RunSpec))


class Outline(NamedTuple):
    """What is known of a run without reading its record whole."""

    key: str
    scenario: str
    method: str
    seed: int
    training_seed: int
    status: Status


class Row(NamedTuple):
    """A record, with the name of the archive that holds its arrays and where in that file they begin.

    Both are None where there are no arrays, or they lie in a file of their own.
    """

    record: Record
    archive: str | None = None
    offset: int | None = None


def schema() -> pa.Schema:
    """The columns, with the number of the layout and that of the records."""
    import pyarrow as pa

    fields = [(name, pa.int64() if name in _NUMBERS else pa.string()) for name in (*_TEXTS, *_NUMBERS, *_JSON, *_TIMES)]
    fields += [("archive", pa.string()), ("offset", pa.int64())]
    numbers = {FORMAT_KEY: str(PACK_FORMAT).encode(), RECORD_KEY: str(RECORD_FORMAT).encode()}
    return pa.schema(fields, metadata=numbers)


def table_of(rows: Iterable[Row]) -> pa.Table:
    """Rows as a table of the `schema`. Raises OverflowError for a seed beyond 2**63."""
    import pyarrow as pa

    found = []
    for record, archive, offset in rows:
        values = {f.encode_name: getattr(record, f.name) for f in msgspec.structs.fields(Record)}
        values |= {name: getattr(record.spec, name) for name in RunSpec.__struct_fields__}
        values |= {name: json_bytes(values[name], name).decode() for name in _JSON}
        found.append(values | {"init": record.spec.training_seed, "archive": archive, "offset": offset})
    return pa.Table.from_pylist(found, schema=schema())


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
            metadata = pack._metadata
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

    @property
    def _metadata(self) -> Mapping[bytes, bytes]:
        return self._file.schema_arrow.metadata or {}

    @functools.cached_property
    def _known(self) -> dict[tuple[str, Any], Any]:
        """Values of columns with few different ones, by column and text."""
        return {}

    @functools.cached_property
    def places(self) -> Mapping[str, tuple[int, int]]:
        """Row group and row of each run, by key."""
        groups = enumerate(self._groups("key"))
        return {key: (group, i) for group, (keys,) in groups for i, key in enumerate(keys)}

    @property
    def archives(self) -> set[str]:
        """Names of the archives that hold arrays of its records."""
        return {name for (names,) in self._groups("archive") for name in names if name}

    def outlines(self) -> Iterator[Outline]:
        """What is known of each run at once; only the columns it takes are read."""
        names = ("key", "scenario_label", "method_label", "seed", "init", "status")
        for columns in self._groups(*names):
            yield from map(Outline, *columns)

    def rows(self) -> Iterator[Row]:
        """The records in the order of the file, with the places of their arrays.

        Raises:
            UsageError: if the file is damaged.
        """
        for group in range(self._file.num_row_groups):
            yield from map(Row, self._records(group), *self._columns(group, "archive", "offset"))

    def records(self, without: Container[str] = frozenset()) -> Iterator[Record]:
        """The records, in the order of the file.

        Args:
            without: keys of those to leave out.

        Raises:
            UsageError: if the file is damaged.
        """
        for group in range(self._file.num_row_groups):
            yield from (record for record in self._records(group) if record.key not in without)

    def read(self, key: str) -> Record | None:
        """The record of a run, or None where there is none."""
        if key not in self.places:
            return None
        group, i = self.places[key]
        return list(self._records(group))[i]

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
        described, archive, offset = (column[i] for column in self._columns(group, "arrays", "archive", "offset"))
        if described is None:
            return None
        path = self.path.parent / (archive or f"cells/{described.file}")
        with open(path, "rb") as file:
            file.seek(offset if archive else 0)
            packed = file.read(described.bytes)
        if hashlib.sha256(packed).hexdigest() != described.sha256:
            raise ValueError(f"{described.file} in {path} has another SHA-256 than its record says")
        return packed

    def _records(self, group: int) -> Iterator[Record]:
        """The records of a row group; that they are those of their keys was checked before they were packed."""
        kind: type[Record | RecordFormat1] = RecordFormat1 if int(self._metadata.get(RECORD_KEY, b"1")) == 1 else Record
        names = [name for name in kind.__struct_encode_fields__ if name != "spec"]
        columns = dict(zip((*names, *_SPEC), self._columns(group, *names, *_SPEC), strict=True))
        columns["spec"] = list(map(RunSpec, *(columns[name] for name in _SPEC)))
        for fields in zip(*(columns[name] for name in kind.__struct_encode_fields__), strict=True):
            made: Record | RecordFormat1 = kind(*fields)
            yield made.upgraded() if isinstance(made, RecordFormat1) else made

    def _groups(self, *names: str) -> Iterator[list[list[Any]]]:
        """Columns of each row group."""
        return (self._columns(group, *names) for group in range(self._file.num_row_groups))

    def _columns(self, group: int, *names: str) -> list[list[Any]]:
        """Columns of a row group as values of the fields of a record. Raises UsageError where they are damaged."""
        import pyarrow as pa

        try:
            table = self._file.read_row_group(group, columns=list(names), use_threads=False)
            return [self._values(name, table.column(name)) for name in names]
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            raise UsageError(f"{self.path} is damaged: {_reason(error)}") from error

    def _values(self, name: str, column: pa.ChunkedArray) -> list[Any]:
        kind: Any = _TYPES.get(name)
        if name in _SHARED:
            coded = column.combine_chunks().dictionary_encode()
            known = [self._value(name, text, kind) for text in coded.dictionary.to_pylist()]
            return [known[i] for i in coded.indices.to_numpy().tolist()]
        found: list[Any] = column.to_pylist()
        if kind is msgspec.Raw:
            return list(map(msgspec.Raw, found))
        # One call is many times faster than one per record.
        return found if kind is None else list(msgspec.json.decode(f"[{','.join(found)}]", type=list[kind]))

    def _value(self, name: str, text: str, kind: Any) -> Any:
        """The value of a text, made once for the file."""
        if (name, text) not in self._known:
            if name == "status":
                self._known[name, text] = Status(text)
            else:
                self._known[name, text] = text if kind is None else msgspec.json.decode(text, type=kind)
        return self._known[name, text]


_TYPES = {
    f.encode_name: f.type
    for kind in (RunSpec, RecordFormat1, Record)
    for f in msgspec.structs.fields(kind)
    if f.encode_name in (*_JSON, "told")
}
"""What the JSON texts of a column are to be read as."""


def _reason(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
