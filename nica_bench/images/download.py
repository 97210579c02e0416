"""Downloads of image files, by pooch: whole and checked, or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.files.atomic import put_in_place, reason
from nica_bench.images.catalogue import ImageCollection, ImageFile
from nica_bench.images.files import locate, missing_message
from nica_bench.images.verify import check_file

__all__ = ["fetch"]


def fetch(
    collection: ImageCollection,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
    bar: Any = False,
) -> dict[ImageFile, Path]:
    """Have all files of a collection in a folder: those that are there are checked, the others downloaded.

    A file gets its name when it is whole and its contents are the published ones; a download that is broken off leaves
    nothing but a hidden folder that a later one removes. Files that were finished stay, so the next call goes on
    from there.

    Args:
        collection: what is wanted.
        folder: is made where it does not exist.
        say: takes lines for people.
        bar: a progress bar as pooch takes it: an object with `total`, `update(bytes)`, `reset()` and `close()`.

    Returns:
        Where each file lies.

    Raises:
        UsageError: if a file that is there is not the published one, or none of the addresses answers; names what to
            put where.
        NicaBenchError: if the disk is full or cannot be written to.
    """
    there = locate(collection, folder)
    for file, path in there.items():
        known = check_file(file, path)[1]
        say(f"{path}: {_verdict(known)}")
    lacking = [file for file in collection.files if file not in there]
    if not lacking:
        return there
    if not (collection.urls or collection.archives):
        raise UsageError(missing_message(collection, folder) or "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        with tempfile.TemporaryDirectory(prefix=_PART, dir=folder) as parts:
            job = _Job(collection, folder, Path(parts), say, bar)
            if collection.archives:
                job.from_archive(lacking)
            else:
                for file in lacking:
                    job.from_url(file)
    except OSError as error:
        raise NicaBenchError(
            f"cannot write to {folder}: {reason(error)}; files that were finished are kept, and nothing half-written"
        ) from error
    return locate(collection, folder)


def _verdict(known: bool) -> str:
    if known:
        return "is the published file"
    return "has the right format and sizes; no checksum of its contents was published, so they can't be compared"


_PART = ".part-"
_STALE_SECONDS = 24 * 3600.0


def _remove_stale(folder: Path) -> None:
    """Remove what downloads left that were killed a day ago or longer."""
    for path in folder.glob(_PART + "*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path)


@dataclass(frozen=True)
class _Job:
    """One download: into a hidden folder beside the files, so that naming a finished file is a rename."""

    collection: ImageCollection
    folder: Path
    parts: Path
    say: Callable[[str], None]
    bar: Any

    def from_url(self, file: ImageFile) -> None:
        """Download a file that has an address of its own."""
        self._publish(file, self._download([url + file.name for url in self.collection.urls], None))

    def from_archive(self, lacking: list[ImageFile]) -> None:
        """Download the archive and take files out of it."""
        md5 = self.collection.archive_md5
        archive = self._download(list(self.collection.archives), None if md5 is None else f"md5:{md5}")
        try:
            with zipfile.ZipFile(archive) as packed:
                members = {Path(name).name: name for name in packed.namelist()}
                for file in lacking:
                    if file.name not in members:
                        raise UsageError(
                            f"the downloaded archive does not hold {file.name}: it is not the published one"
                        )
                    part = self.parts / file.name
                    with packed.open(members[file.name]) as source, open(part, "xb") as target:
                        shutil.copyfileobj(source, target)
                    self._publish(file, part)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UsageError(f"the downloaded archive is damaged: {error}; try again") from error

    def _publish(self, file: ImageFile, part: Path) -> None:
        """Check what was downloaded, and give it its name."""
        try:
            known = check_file(file, part)[1]
            if not known:
                raise UsageError(
                    f"{part}: expected the published gzip file with SHA-256 {file.gz_sha256}, found another"
                )
        except UsageError as error:
            raise UsageError(
                f"the download of {file.name} is no good: {str(error).replace(f'{part}', 'it')}"
            ) from error
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        path = self.folder / file.name
        put_in_place(part, path)
        self.say(f"{path}: downloaded; {_verdict(known)}")

    def _download(self, urls: list[str], checksum: str | None) -> Path:
        """What the first address that answers holds."""
        import pooch

        pooch.get_logger().setLevel("ERROR")  # it would say what we say
        troubles = []
        for url in urls:
            self.say(f"downloading {url}")
            name = f"download-{len(list(self.parts.iterdir()))}"
            try:
                loader = pooch.HTTPDownloader(progressbar=self.bar, timeout=30)
                return Path(pooch.retrieve(url, checksum, name, self.parts, downloader=loader))
            except Exception as error:  # what requests and pooch raise has no common base
                if self.bar:
                    self.bar.close()
                if _of_disk(error):
                    raise
                said = str(error).splitlines()[0] if str(error) else ""
                self.say(f"no use: {type(error).__name__}: {said}")
                troubles.append(f"{url} ({type(error).__name__})")
        raise UsageError(f"no download from {' or '.join(troubles)}. {missing_message(self.collection, self.folder)}")


def _of_disk(error: Exception) -> bool:
    """Whether it is this machine's disk that failed, and not the network."""
    disk = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
    return isinstance(error, OSError) and error.errno in disk
