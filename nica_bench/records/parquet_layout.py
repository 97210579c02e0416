"""How many records lie in one Parquet file.

A row is a record. What identifies a run and its outcome are columns of their own (`key`, `scenario`, `method_label`,
`seed`, `status`, ...), so that any Parquet reader can count and filter; every other field of the record is its JSON
text. Of the provenance the two times stand apart, because the rest is the same in thousands of records and is kept, and
parsed, once. Arrays lie beside the file in ZIP archives whose members are the npz files, stored as they were; `archive`
and `offset` lead to one without reading the archive's directory.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nica_bench.records.record import RECORD_FORMAT, Record

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FORMAT_KEY",
    "JSON",
    "NAMES",
    "NUMBERS",
    "PACK_FORMAT",
    "PARAMETERS",
    "RECORD_KEY",
    "TEXTS",
    "TIMES",
    "columns_of",
    "schema",
    "write_member",
]

PACK_FORMAT = 1
"""Number of the layout, in the file's metadata."""

FORMAT_KEY, RECORD_KEY = b"nica_bench.pack", b"nica_bench.record"
"""In the file's metadata: the number of the layout, and that of the records."""

NAMES = ("key", "scenario", "scenario_label", "scenario_version", "method", "method_label", "method_version")
PARAMETERS = ("scenario_parameters", "method_parameters")
NUMBERS = ("seed", "init")
TEXTS = ("status", "kind", "message")
JSON = tuple(f.name for f in dataclasses.fields(Record) if f.name not in ("spec", *TEXTS))
TIMES = ("started", "ended")


def schema() -> pa.Schema:
    """The columns, with the number of the layout and that of the records."""
    import pyarrow as pa

    text = pa.string()
    fields = [(name, text) for name in (*NAMES, *PARAMETERS)]
    fields += [(name, pa.int64()) for name in NUMBERS]
    fields += [(name, text) for name in (*TEXTS, *JSON, *TIMES, "archive")]
    fields += [("offset", pa.int64())]
    numbers = {FORMAT_KEY: str(PACK_FORMAT).encode(), RECORD_KEY: str(RECORD_FORMAT).encode()}
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
        times = {name: made.pop(name) for name in TIMES if isinstance(made.get(name), str)}
        row: dict[str, Any] = {name: getattr(spec, name) for name in NAMES} | {
            "seed": spec.seed,
            "init": spec.training_seed,
        }
        row |= {name: _text(getattr(spec, name)) for name in PARAMETERS}
        row |= {name: str(getattr(record, name)) for name in TEXTS}
        row |= {name: _text(made if name == "provenance" else getattr(record, name)) for name in JSON}
        rows.append(row | {name: times.get(name) for name in TIMES} | {"archive": archive, "offset": offset})
    return pa.RecordBatch.from_pylist(rows, schema=schema())


_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def write_member(archive: zipfile.ZipFile, name: str, packed: bytes) -> int:
    """Store a file in an archive as it is, without a date; where its content begins in the archive's file."""
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_STORED  # an npz is compressed already
    archive.writestr(member, packed)
    assert archive.fp is not None
    return archive.fp.tell() - len(packed)
