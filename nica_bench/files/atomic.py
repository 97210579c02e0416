"""Files that appear whole or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "is_temporary",
    "locked",
    "put_in_place",
    "read_whole",
    "reason",
    "remove_stale",
    "sync_folder",
    "temporary",
    "write_whole",
]

_PREFIX = ".tmp-"
_STALE_SECONDS = 3600.0
_READ = 1 << 16  # bytes; most records take one call


def temporary(folder: Path, data: bytes) -> Path:
    """A new file on the disk with this content, under a name that nobody else uses; none where that fails."""
    path = folder / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
    try:
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    return path


def put_in_place(waiting: Path, path: Path) -> None:
    """Give a file on the disk the name that others read; the folder, with it, is on the disk when this returns.

    Args:
        waiting: the file under its temporary name, in the same folder; it is removed where the renaming fails.
        path: its name, in place of what is there.

    Raises:
        OSError: if it cannot be renamed; what was there before is left as it was.
    """
    try:
        os.replace(waiting, path)
    except BaseException:
        with contextlib.suppress(OSError):
            waiting.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in place of what is there, so that it is found whole or as it was before, whatever happens.

    Args:
        path: of the file; its folder must exist.
        data: its content.

    Raises:
        OSError: if it cannot be written; what was there before is left as it was.
    """
    put_in_place(temporary(path.parent, data), path)


def read_whole(path: str | Path) -> bytes:
    """The content of a file: `open` takes longer than reading a record does. Raises OSError as it does."""
    number = os.open(path, os.O_RDONLY)
    try:
        parts = [os.read(number, _READ)]
        while len(parts[-1]) == _READ:
            parts.append(os.read(number, _READ))
    finally:
        os.close(number)
    return b"".join(parts)


def sync_folder(folder: Path) -> None:
    """Make a rename last; not every system can open or flush a folder, and the files are whole without it."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one of `temporary`."""
    return name.startswith(_PREFIX)


def remove_stale(folder: Path) -> int:
    """Remove what killed processes left half-written an hour ago or longer; the number of files removed."""
    removed = 0
    for path in folder.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):  # another process may be cleaning too
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()
                removed += 1
    return removed


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time. A few disks have no locks: two writers of a run may leave it broken there."""
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                file = stack.enter_context(open(folder / ".lock", "ab"))
                fcntl.flock(file, fcntl.LOCK_EX)
                # Closing is not enough where a forked child holds a copy of the file.
                stack.callback(fcntl.flock, file, fcntl.LOCK_UN)
        yield


def reason(error: BaseException) -> str:
    """Why a file could not be written or read, for people."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return f"not JSON, or cut off ({error})"
    return str(error) or type(error).__name__
