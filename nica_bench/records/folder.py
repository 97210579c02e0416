"""A folder of records: whose it is (that of records, nobody's yet, or something else's), and the files in it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.files.atomic import is_temporary, reason, temporary, write_whole
from nica_bench.records.parquet import PACK_NAME, Pack

__all__ = [
    "CELLS",
    "RECORD_NAME",
    "STORE_FORMAT",
    "Listing",
    "StoreError",
    "check_folder",
    "list_runs",
    "prepare_folder",
]

STORE_FORMAT = 1
"""Number of the folder's layout, written to its marker file."""

CELLS = "cells"
"""Name of the folder of the runs in it."""

RECORD_NAME = re.compile(r"[0-9a-f]{64}\.json")
"""Names of the runs' records."""

_MARKER = "nica-bench.json"


class StoreError(NicaBenchError):
    """A run cannot be written or read; names the file and the reason."""


@dataclass(frozen=True)
class Listing:
    """The files of a folder of runs.

    Args:
        records: names of the files that should be records, but for '.json', sorted: keys, where nobody else put one.
        arrays: the same of files of arrays.
    """

    records: tuple[str, ...]
    arrays: frozenset[str]


def list_runs(runs: Path) -> Listing:
    """List a folder of runs; one that does not exist holds none, since nothing was written yet or all is packed.

    Raises:
        StoreError: if it cannot be listed.
    """
    try:
        names = [name for name in os.listdir(runs) if name[0] != "."]
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise StoreError(f"cannot list {runs}: {reason(error)}") from error
    return Listing(
        tuple(sorted(name[:-5] for name in names if name.endswith(".json"))),
        frozenset(name[:-4] for name in names if name.endswith(".npz")),
    )


def check_folder(folder: Path, create: bool) -> None:
    """Check that a folder is one of records or nobody's yet.

    Args:
        folder: absolute.
        create: it may be nobody's, or not be there.

    Raises:
        UsageError: if it is a file, holds something else or no records, or belongs to a newer nica-bench.
        OSError: if it cannot be read.
    """
    runs = folder / CELLS
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder: choose another with --out")
    names = os.listdir(folder) if folder.exists() else []
    if _MARKER in names:
        try:
            version = json.loads((folder / _MARKER).read_bytes())["format"]
            newer = version > STORE_FORMAT
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{folder / _MARKER} is not the marker of a nica-bench folder") from error
        if newer:
            raise UsageError(f"{folder} has format {version}, this nica-bench reads {STORE_FORMAT}: update nica-bench")
        return
    if PACK_NAME in names:
        Pack.open(folder / PACK_NAME)
        return
    inside = os.listdir(runs) if CELLS in names and runs.is_dir() else []
    if any(map(RECORD_NAME.fullmatch, inside)):
        return
    # A process that is preparing the folder at this moment may have made an empty one and temporary files.
    # Folders of records may stand in one, such as results/sweep in results.
    ours = [CELLS] if runs.is_dir() else []
    ours += [n for n in names if (folder / n / _MARKER).is_file()]
    other = [n for n in names if n not in ours and not is_temporary(n)]
    other += [f"{CELLS}/{n}" for n in inside if not n.startswith(".")]
    if other:
        raise UsageError(
            f"{folder} holds something else (for example '{min(other)}') and no nica-bench records: "
            "choose another folder with --out"
        )
    if not create:
        what = "holds no nica-bench records" if folder.exists() else "does not exist"
        raise UsageError(f"{folder} {what}")


def prepare_folder(folder: Path) -> None:
    """Make what is missing in a folder that was checked, and see that it can be written to. Raises OSError."""
    runs, marker = folder / CELLS, folder / _MARKER
    runs.mkdir(parents=True, exist_ok=True)
    if not marker.exists():
        write_whole(marker, json.dumps({"format": STORE_FORMAT}).encode())
    # Root ignores permission bits and a read-only disk has its own: only writing shows what is possible.
    temporary(runs, bytes(4096)).unlink()
