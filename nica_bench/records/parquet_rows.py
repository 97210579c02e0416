"""Records of a pack: like those that were read from their own files, but each field is parsed when it is asked for."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nica_bench.records.parquet_layout import JSON, NAMES, NUMBERS, PARAMETERS, TEXTS, TIMES
from nica_bench.records.record import Record, RunSpec, Status, kind_of, letters_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PackedRecord", "Rows", "Source"]

_SHARED = frozenset(("side_information", "told", "notes", "provenance", *PARAMETERS))
"""Texts that many records have in common: parsed once each."""
_FEW = frozenset((*NAMES, *TEXTS, *_SHARED, "archive")) - {"key"}
"""Columns with few different texts: these are made once each."""


class Source(Protocol):
    """The file that rows are read from."""

    @property
    def path(self) -> Path:
        """Of the file."""

    @property
    def columns(self) -> frozenset[str]:
        """Names of its columns: a file of an older nica-bench may lack some."""

    @property
    def shared(self) -> dict[str, Any]:
        """Texts that many records have in common, and what they stand for."""

    @property
    def words(self) -> dict[str, str]:
        """Texts that many records have in common, as one object each."""

    def read_columns(self, group: int, columns: list[str] | None) -> pa.Table:
        """Columns of a row group."""


class PackedRecord(Record):
    """A record of a pack: its fields are parsed when they are asked for first."""

    def __eq__(self, other: object) -> bool:
        return self.to_json() == other.to_json() if isinstance(other, Record) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of every record: it holds dictionaries

    def __reduce__(self) -> tuple[Any, ...]:
        return Record.from_json, (self.to_json(),)

    @property
    def maker(self) -> Mapping[str, Any]:
        """The provenance without its times: one object for the records that share it, not to be changed."""
        rows, i = self.__dict__["_place"]
        made: Mapping[str, Any] = rows.makers[i]
        return made

    def packed_arrays(self) -> bytes | None:
        """The npz of the run as it was written, or None; OSError and ValueError as from `Pack.packed_arrays`."""
        rows, i = self.__dict__["_place"]
        content: bytes | None = rows.packed_arrays(i)
        return content


class _Lazy:
    """A field that is taken from its row when it is asked for; from then on the record's own value hides this one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, record: Record, owner: type | None = None) -> Any:
        rows, i = record.__dict__["_place"]
        value = record.__dict__[self._name] = rows.fields(self._name)[i]
        return value


for _field in JSON:
    setattr(PackedRecord, _field, _Lazy(_field))


class Rows:
    """The rows of one row group. A column is read, and its texts are parsed, when one of them is asked for.

    Args:
        source: the file.
        group: number of the row group in it.
    """

    def __init__(self, source: Source, group: int) -> None:
        self._source = source
        self._group = group
        self._values: dict[str, list[Any]] = {}
        self._fields: dict[str, list[Any]] = {}

    def values(self, name: str) -> list[Any]:
        """A column as Python values: texts as they are."""
        if name not in self._values:
            column = self._source.read_columns(self._group, [name]).column(name)
            if name in NUMBERS:
                self._values[name] = column.to_numpy().tolist()
            elif name in _FEW:
                self._values[name] = self._chosen(column)
            else:
                self._values[name] = column.to_pylist()
        return self._values[name]

    def fields(self, name: str) -> list[Any]:
        """A field of each record; its default where the file was written before the field was."""
        if name not in self._fields:
            self._fields[name] = self._made(name)
        return self._fields[name]

    @functools.cached_property
    def makers(self) -> list[dict[str, Any]]:
        """The provenance of each record without its times."""
        return self._parsed("provenance") if "provenance" in self._source.columns else self.fields("provenance")

    def records(self, without: Container[str]) -> Iterator[Record]:
        """The records, but those whose keys are to be left out."""
        # a class that checks its fields again would take longer than reading them: they were checked when written
        in_spec = [f.name for f in dataclasses.fields(RunSpec)]
        stored = ["init" if name == "training_seed" else name for name in in_spec]
        columns = [self._parsed(name) if name in PARAMETERS else self.values(name) for name in stored]
        by_text = {status.value: status for status in Status}
        heads = zip(map(by_text.__getitem__, self.values("status")), *map(self.values, TEXTS[1:]), strict=True)
        names = (*in_spec, "key")
        rows = zip(zip(*columns, self.values("key"), strict=True), heads, strict=True)
        for i, (values, (status, kind, message)) in enumerate(rows):
            if values[-1] in without:
                continue
            spec = object.__new__(RunSpec)
            spec.__dict__.update(zip(names, values, strict=True))
            record = object.__new__(PackedRecord)
            kind = kind_of(kind, self.fields("side_information")[i]) if kind == "floor" else kind
            record.__dict__.update(spec=spec, status=status, kind=kind, message=message, _place=(self, i))
            yield record

    def packed_arrays(self, i: int) -> bytes | None:
        """The content of the npz of the run in a row.

        Raises:
            OSError, ValueError: if it is not there, or is not the one that the record describes.
        """
        described = self.fields("arrays")[i]
        if described is None:
            return None
        archive, offset = self.values("archive")[i], self._source.read_columns(self._group, ["offset"]).column(0)[i]
        path = self._source.path.parent / (archive or f"cells/{described['file']}")
        with open(path, "rb") as file:
            file.seek(offset.as_py() if archive else 0)
            packed = file.read(described["bytes"])
        if hashlib.sha256(packed).hexdigest() != described["sha256"]:
            raise ValueError(f"{described['file']} in {path} has another SHA-256 than its record says")
        return packed

    def _chosen(self, column: Any) -> list[str | None]:
        """The texts of a column that has few different ones: each is one object wherever it stands in the file."""
        known = self._source.words
        found: list[str | None] = []
        for chunk in column.chunks:
            coded = chunk.dictionary_encode()
            words: list[str | None] = [known.setdefault(word, word) for word in coded.dictionary.to_pylist()]
            words.append(None)
            found += [words[i] for i in coded.indices.fill_null(len(words) - 1).to_numpy().tolist()]
        return found

    def _parsed(self, name: str) -> list[Any]:
        """The values of a column of JSON texts; those that records share are one object, not to be changed."""
        texts = self.values(name)
        if name in _SHARED:
            known = self._source.shared
            for text in dict.fromkeys(texts):
                if text not in known:
                    known[text] = json.loads(text)
            return [known[text] for text in texts]
        found: list[Any] = json.loads(f"[{','.join(texts)}]")  # one call is many times faster than one a record
        return found

    def _made(self, name: str) -> list[Any]:
        if name == "side_information" and name not in self._source.columns:
            return [letters_of(told) for told in self._parsed("told")]
        if name not in self._source.columns:
            made = next(f for f in dataclasses.fields(Record) if f.name == name)
            factory = made.default_factory
            return [made.default if factory is dataclasses.MISSING else factory() for _ in self.values("key")]
        if name != "provenance":
            return self._parsed(name)
        started, ended = (self.values(key) for key in TIMES)
        return [
            {**made, "started": first, "ended": last}
            if first is not None and last is not None
            else made | {key: time for key, time in zip(TIMES, (first, last), strict=True) if time is not None}
            for made, first, last in zip(self.makers, started, ended, strict=True)
        ]
