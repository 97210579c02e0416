"""Records in files of their own: written, read, and checked against their names and their arrays."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nica_bench.files.atomic import locked, read_whole
from nica_bench.records.format1 import RecordFormat1
from nica_bench.records.plain import json_bytes
from nica_bench.records.record import RECORD_FORMAT, Record
from nica_bench.records.spec import RecordError

__all__ = ["MisnamedError", "Scan", "decode_record", "encode_record", "read_record_file"]

_DECODER: msgspec.json.Decoder[Record | RecordFormat1] = msgspec.json.Decoder(Record | RecordFormat1)


class MisnamedError(RecordError):
    """A whole record in a file that is not named after its key: a copy."""


class _Head(msgspec.Struct):
    """What is looked at where a record cannot be read."""

    format: int


@dataclass(frozen=True)
class Scan:
    """What files of records hold.

    Args:
        records: whole records by key.
        broken: why a file that should be a record is none, by path.
    """

    records: dict[str, Record] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)


def encode_record(record: Record) -> bytes:
    """A record as the content of its file, a field per line."""
    return msgspec.json.format(json_bytes(record, "record"), indent=1)


def decode_record(content: bytes) -> Record:
    """The inverse of `encode_record`, which reads records of format 1 too.

    Raises:
        RecordError: if the content is not JSON, its format is newer than `RECORD_FORMAT`, or a field is missing,
            unknown or of a wrong type.
    """
    try:
        found = _DECODER.decode(content)
    except msgspec.ValidationError as error:
        raise RecordError(_fault(content, error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        found = _with_surrogates(content, error)
    return found.upgraded() if isinstance(found, RecordFormat1) else found


def read_record_file(path: str | Path, *, verify: bool = True) -> Record:
    """A record that was checked against the name of its file.

    Args:
        path: `<key>.json`, with the arrays beside it.
        verify: check too that the key is that of the spec, and that the arrays are there, by their size. A run that
            goes on needs that, and a table of scores does not.

    Raises:
        FileNotFoundError: if there is no such record.
        MisnamedError: if it is that of another key.
        OSError, RecordError: if it is broken.
    """
    try:
        return _read_once(path, verify)
    except RecordError:
        with locked(Path(path).parent):  # a run that was being replaced is whole where nobody replaces it
            return _read_once(path, verify)


def _read_once(path: str | Path, verify: bool) -> Record:
    record = decode_record(read_whole(path))
    if os.path.basename(path) != record.key + ".json":
        raise MisnamedError(f"its key is {record.key}, which is not its name")
    return _verified(record, Path(path)) if verify else record


def _verified(record: Record, path: Path) -> Record:
    if record.key != record.spec.key:
        raise RecordError(f"record field 'key': expected the spec's, {record.spec.key}, got {record.key}")
    if record.arrays is None:
        return record
    npz = path.with_suffix(".npz")
    if record.arrays.file != npz.name:
        raise RecordError(f"its arrays should be in {npz.name}, not {record.arrays.file}")
    try:
        came = npz.stat().st_size
    except FileNotFoundError:
        raise RecordError(f"{npz.name} is missing") from None
    if came != record.arrays.bytes:
        raise RecordError(f"{npz.name} should have {record.arrays.bytes} bytes, but has {came}")
    return record


def _fault(content: bytes, error: msgspec.ValidationError) -> str:
    """Why a file of JSON is no record, for people."""
    try:
        number = msgspec.json.decode(content, type=_Head).format
    except (msgspec.MsgspecError, RecursionError):
        return f"record: {error}"
    if number > RECORD_FORMAT:
        return f"record has format {number}, this nica-bench reads {RECORD_FORMAT}: update nica-bench"
    return f"record: {error}"


def _with_surrogates(content: bytes, error: Exception) -> Record | RecordFormat1:
    """A record whose texts have halves of surrogate pairs, which format 1 wrote and msgspec takes for damage."""
    try:
        return _DECODER.decode(json_bytes(json.loads(content, parse_constant=_refuse), "record"))
    except (ValueError, RecursionError, msgspec.MsgspecError) as other:
        why = str(error) or type(error).__name__
        raise RecordError(f"not JSON, or cut off ({why})") from other


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
