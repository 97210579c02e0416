"""Records in files of their own, read and checked against their names and their arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from nica_bench.files.atomic import locked
from nica_bench.records.record import Record, RecordError

__all__ = ["Scan", "read_record_file"]


@dataclass(frozen=True)
class Scan:
    """What files of records hold.

    Args:
        records: whole records by key.
        broken: why a file that should be a record is none, by path.
    """

    records: dict[str, Record] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)


def read_record_file(path: Path) -> Record:
    """A record that was checked against its name and, by their size, its arrays.

    Args:
        path: `<key>.json`, with the arrays beside it.

    Raises:
        FileNotFoundError: if there is no such record.
        OSError, ValueError, RecursionError, RecordError: if it is broken.
    """
    try:
        return _read_once(path)
    except (ValueError, RecordError):
        with locked(path.parent):  # a run that was being replaced is whole where nobody replaces it
            return _read_once(path)


def _read_once(path: Path) -> Record:
    record = Record.from_json(json.loads(path.read_bytes()))
    if path.name != record.key + ".json":
        raise ValueError(f"its key is {record.key}, which is not its name")
    if record.arrays is None:
        return record
    npz, size = path.with_suffix(".npz"), record.arrays["bytes"]
    if record.arrays["file"] != npz.name:
        raise ValueError(f"its arrays should be in {npz.name}, not {record.arrays['file']}")
    try:
        came = npz.stat().st_size
    except FileNotFoundError:
        raise ValueError(f"{npz.name} is missing") from None
    if came != size:
        raise ValueError(f"{npz.name} should have {size} bytes, but has {came}")
    return record
