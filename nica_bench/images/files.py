"""Where image files lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from nica_bench.errors import UsageError
from nica_bench.images.catalogue import ImageCollection, ImageFile

__all__ = ["VARIABLE", "data_folder", "default_folder", "locate", "missing_message"]

VARIABLE = "NICA_BENCH_DATA"
"""Environment variable that names the folder of the image files."""


def default_folder() -> Path:
    """Where downloads go when nobody says: the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return Path(base or Path.home() / ".cache") / "nica-bench"


def data_folder(given: Path | str | None = None) -> Path:
    """The folder of the image files: the one given, else that of NICA_BENCH_DATA, else the user's cache.

    Raises:
        UsageError: if it is a file.
    """
    folder = Path(given or os.environ.get(VARIABLE) or default_folder()).expanduser()
    if folder.exists() and not folder.is_dir():
        source = "--data" if given else VARIABLE
        raise UsageError(f"{source} names a folder of image files, got the file {folder}")
    return folder


def locate(collection: ImageCollection, folder: Path) -> dict[ImageFile, Path]:
    """The files of a collection that are there: in the folder, or in its subfolder of the collection's name.

    A plain file goes before a gzipped one, since it can be mapped.
    """
    found = {}
    places = [folder, folder / collection.name, folder / collection.name.partition("-")[0]]
    for file in collection.files:
        names = [place / name for place in places for name in (file.plain, file.name)]
        path = next((p for p in names if p.is_file()), None)
        if path is not None:
            found[file] = path
    return found


def missing_message(collection: ImageCollection, folder: Path) -> str | None:
    """What is missing and how to get it, or None where all files are there."""
    there = locate(collection, folder)
    lacking = [file.name for file in collection.files if file not in there]
    if not lacking:
        return None
    lines = f"{collection.name} needs {len(lacking)} files that are not in {folder}: {', '.join(lacking)}"
    sources = [*collection.urls, *collection.archives]
    if not sources:
        return f"{lines}; put them there (gzipped or not), or name their folder with {VARIABLE}"
    return (
        f"{lines}; 'nica-bench data {collection.name}' downloads them; without a network put them there, gzipped or "
        f"not (from {sources[0]}), or name their folder with {VARIABLE}"
    )
