"""Many records in one Parquet file: how it is laid out, and how it is read.

A row is a record. What identifies a cell and its outcome are columns of their own (`key`, `scenario`, `method_label`,
`seed`, `status`, ...), so that any Parquet reader can count and filter; every other field of the record is its JSON
text. Of the provenance the two times stand apart, because the rest is the same in thousands of records and is kept, and
parsed, once. Arrays lie beside the file in ZIP archives whose members are the npz files, stored as they were; `archive`
and `offset` lead to one without reading the archive's directory. A record that was read from here is like one that
was read from its own file, but a field's text is parsed only when somebody asks for it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import zipfile
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from nica_bench.arrays import unpack
from nica_bench.atomic import reason
from nica_bench.errors import UsageError
from nica_bench.record import RECORD_FORMAT, CellSpec, Record, Status

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PACK_FORMAT", "PACK_NAME", "Outline", "Pack", "PackedRecord", "columns_of", "schema", "write_member"]

PACK_FORMAT = 1
"""Number of the layout, in the file's metadata."""

PACK_NAME = "records.parquet"
"""Name of the file in a folder of records."""

_FORMAT_KEY = b"nica_bench.pack"
_NAMES = ("key", "scenario", "scenario_label", "scenario_version", "method", "method_label", "method_version")
_PARAMETERS = ("scenario_parameters", "method_parameters")
_NUMBERS = ("seed", "init")
_TEXTS = ("status", "kind", "message")
_JSON = tuple(f.name for f in dataclasses.fields(Record) if f.name not in ("spec", *_TEXTS))
_TIMES = ("started", "ended")
_SHARED = frozenset(("told", "notes", "provenance", *_PARAMETERS))
"""Texts that many records have in common: parsed once each."""


def schema() -> pa.Schema:
    """The columns, with the number of the layout and that of the records."""
    import pyarrow as pa

    text = pa.string()
    fields = [(name, text) for name in (*_NAMES, *_PARAMETERS)]
    fields += [(name, pa.int64()) for name in _NUMBERS]
    fields += [(name, text) for name in (*_TEXTS, *_JSON, *_TIMES, "archive")]
    fields += [("offset", pa.int64())]
    numbers = {_FORMAT_KEY: str(PACK_FORMAT).encode(), b"nica_bench.record": str(RECORD_FORMAT).encode()}
    return pa.schema(fields, metadata=numbers)


def columns_of(records: Iterable[tuple[Record, str | None, int | None]]) -> pa.RecordBatch:
    """Rows of records.

    Args:
        records: each with the name of the archive that holds its arrays and where in it they begin; None and None
            where there are no arrays, or they lie in a file of their own.

    Raises:
        OverflowError: for a seed beyond 2**63.
    """
    import pyarrow as pa

    rows = []
    for record, archive, offset in records:
        spec, made = record.spec, dict(record.provenance)
        times = {name: made.pop(name) for name in _TIMES if isinstance(made.get(name), str)}
        row: dict[str, Any] = {name: getattr(spec, name) for name in (*_NAMES, *_NUMBERS)}
        row |= {name: _text(getattr(spec, name)) for name in _PARAMETERS}
        row |= {name: str(getattr(record, name)) for name in _TEXTS}
        row |= {name: _text(made if name == "provenance" else getattr(record, name)) for name in _JSON}
        rows.append(row | {name: times.get(name) for name in _TIMES} | {"archive": archive, "offset": offset})
    return pa.RecordBatch.from_pylist(rows, schema=schema())


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


class PackedRecord(Record):
    """A record of a pack: its fields are parsed when they are asked for first."""

    def __eq__(self, other: object) -> bool:
        return self.to_json() == other.to_json() if isinstance(other, Record) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of every record: it holds dictionaries

    def __reduce__(self) -> tuple[Any, ...]:
        return Record.from_json, (self.to_json(),)

    def packed_arrays(self) -> bytes | None:
        """The npz of the cell as it was written; None, OSError and ValueError as from `Pack.packed_arrays`."""
        rows, i = self.__dict__["_place"]
        content: bytes | None = rows.packed_arrays(i)
        return content


class _Lazy:
    """A field that is taken from its row when it is asked for; from then on the record's own value hides this one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, record: Record, owner: type | None = None) -> Any:
        rows, i = record.__dict__["_place"]
        value = record.__dict__[self._name] = rows.field(self._name, i)
        return value


for _field in _JSON:
    setattr(PackedRecord, _field, _Lazy(_field))


@dataclass(frozen=True)
class Outline:
    """What is known of a cell without reading its record whole."""

    key: str
    scenario: str
    method: str
    seed: int
    init: int
    status: Status


class _Rows:
    """The rows of one row group. A column is read, and its texts are parsed, when one of them is asked for."""

    def __init__(self, pack: Pack, group: int) -> None:
        self._pack = pack
        self._group = group
        self._values: dict[str, list[Any]] = {}

    def values(self, name: str) -> list[Any]:
        """A column as Python values: texts as they are."""
        if name not in self._values:
            column = self._pack.read_columns(self._group, [name]).column(name)
            self._values[name] = column.to_numpy().tolist() if name in _NUMBERS else column.to_pylist()
        return self._values[name]

    def parsed(self, name: str) -> list[Any]:
        """The values of a column of JSON texts; those that records share are one object, not to be changed."""
        texts = self.values(name)
        if name in _SHARED:
            known = self._pack.shared
            for text in dict.fromkeys(texts):
                if text not in known:
                    known[text] = json.loads(text)
            return [known[text] for text in texts]
        found: list[Any] = json.loads(f"[{','.join(texts)}]")  # one call is many times faster than one a record
        return found

    def field(self, name: str, i: int) -> Any:
        """A field of the record in a row; its default where the file was written before the field was."""
        place = f"{name} parsed"
        if place not in self._values:
            self._values[place] = self._fields(name)
        return self._values[place][i]

    def _fields(self, name: str) -> list[Any]:
        if name not in self._pack.columns:
            made = next(f for f in dataclasses.fields(Record) if f.name == name)
            factory = made.default_factory
            return [made.default if factory is dataclasses.MISSING else factory() for _ in self.values("key")]
        found = self.parsed(name)
        if name != "provenance":
            return found
        started, ended = (self.values(key) for key in _TIMES)
        return [
            {**made, "started": first, "ended": last}
            if first is not None and last is not None
            else made | {key: time for key, time in zip(_TIMES, (first, last), strict=True) if time is not None}
            for made, first, last in zip(found, started, ended, strict=True)
        ]

    def packed_arrays(self, i: int) -> bytes | None:
        """The content of the npz of the cell in a row.

        Raises:
            OSError, ValueError: if it is not there, or is not the one that the record describes.
        """
        described = self.field("arrays", i)
        if described is None:
            return None
        archive, offset = self.values("archive")[i], self._pack.read_columns(self._group, ["offset"]).column(0)[i]
        path = self._pack.path.parent / (archive or f"cells/{described['file']}")
        with open(path, "rb") as file:
            file.seek(offset.as_py() if archive else 0)
            packed = file.read(described["bytes"])
        if hashlib.sha256(packed).hexdigest() != described["sha256"]:
            raise ValueError(f"{described['file']} in {path} has another SHA-256 than its record says")
        return packed


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
        try:
            metadata = pack._file.schema_arrow.metadata or {}
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"{path} cannot be read: {_reason(error)}") from error
        number = metadata.get(_FORMAT_KEY)
        if number is None:
            raise UsageError(
                f"{path} is a Parquet file, but not one of records: expected what `nica-bench collect` writes "
                "(what `table --save` writes is for other programs)"
            )
        if int(number) > PACK_FORMAT or int(metadata.get(b"nica_bench.record", b"0")) > RECORD_FORMAT:
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
    def columns(self) -> frozenset[str]:
        """Names of its columns: a file of an older nica-bench may lack some."""
        return frozenset(self._file.schema_arrow.names)

    @functools.cached_property
    def places(self) -> Mapping[str, tuple[int, int]]:
        """Row group and row of each cell, by key."""
        found: dict[str, tuple[int, int]] = {}
        for group in range(self._file.num_row_groups):
            for i, key in enumerate(_Rows(self, group).values("key")):
                found[key] = (group, i)
        return found

    @property
    def archives(self) -> set[str]:
        """Names of the archives that hold arrays of its records."""
        groups = range(self._file.num_row_groups)
        return {name for group in groups for name in _Rows(self, group).values("archive") if name}

    def outlines(self) -> Iterator[Outline]:
        """What is known of each cell at once; only the columns it takes are read."""
        names = ["key", "scenario_label", "method_label", "seed", "init", "status"]
        for group in range(self._file.num_row_groups):
            rows = _Rows(self, group)
            for key, scenario, method, seed, init, status in zip(*map(rows.values, names), strict=True):
                yield Outline(key, scenario, method, seed, init, Status(status))

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
            yield from self._records(group, without)

    def read(self, key: str) -> Record | None:
        """The record of a cell, or None where there is none."""
        place = self.places.get(key)
        return None if place is None else next(r for r in self._records(place[0], frozenset()) if r.key == key)

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of a cell by name; none where it has none. Raises ValueError, OSError or zipfile.BadZipFile."""
        packed = self.packed_arrays(key)
        return {} if packed is None else unpack(packed)

    def packed_arrays(self, key: str) -> bytes | None:
        """The npz of a cell as it was written, or None where it has none.

        Raises:
            KeyError: if there is no such cell.
            OSError, ValueError: if the npz is not there, or is not the one that the record describes.
        """
        group, i = self.places[key]
        return _Rows(self, group).packed_arrays(i)

    def read_columns(self, group: int, columns: list[str] | None) -> pa.Table:
        """Columns of a row group, or all of them. Raises UsageError where the file is damaged."""
        import pyarrow as pa

        try:
            return self._file.read_row_group(group, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{self.path} is damaged: {_reason(error)}") from error

    def _records(self, group: int, without: Container[str]) -> Iterator[Record]:
        rows = _Rows(self, group)
        columns = {name: rows.values(name) for name in (*_NAMES, *_NUMBERS, *_TEXTS)}
        columns |= {name: rows.parsed(name) for name in _PARAMETERS}
        by_text = {status.value: status for status in Status}
        statuses = [by_text[text] for text in columns["status"]]
        # a class that checks its fields again would take longer than reading them: they were checked when written
        in_spec = [f.name for f in dataclasses.fields(CellSpec)]
        for i, values in enumerate(zip(*(columns[name] for name in in_spec), strict=True)):
            key = columns["key"][i]
            if key in without:
                continue
            spec = object.__new__(CellSpec)
            spec.__dict__.update(zip(in_spec, values, strict=True), key=key)
            record = object.__new__(PackedRecord)
            record.__dict__.update(
                spec=spec,
                status=statuses[i],
                kind=columns["kind"][i],
                message=columns["message"][i],
                _place=(rows, i),
            )
            yield record


def _reason(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error).partition("\n")[0]


def write_member(archive: zipfile.ZipFile, name: str, packed: bytes) -> int:
    """Store a file in an archive as it is, without a date; where its content begins in the archive's file."""
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_STORED  # an npz is compressed already
    archive.writestr(member, packed)
    assert archive.fp is not None
    return archive.fp.tell() - len(packed)
