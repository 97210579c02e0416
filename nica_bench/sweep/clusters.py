"""Where jobs run: the contract, and jobs of this machine through submitit's local and debug executors."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from nica_bench.errors import NicaBenchError
from nica_bench.records.record import Status
from nica_bench.running.resources import Resources
from nica_bench.sweep.job import SweepJob
from nica_bench.sweep.journal import Array

__all__ = ["Cluster", "Debug", "Jobs", "Local", "Look", "Unanswered", "give_pickles", "last_words"]

_YEAR_MINUTES = 365 * 24 * 60


class Unanswered(NicaBenchError):
    """It is not known whether jobs were submitted."""


@dataclass(frozen=True)
class Look:
    """What is known of a job at a moment.

    Args:
        state: pending, running or ended.
        status: where it has ended: of the runs that it was working on and has no records of.
        why: it ended, for people; of a pending job, why it does not begin, as the cluster says it.
    """

    state: str
    status: Status = Status.KILLED
    why: str = ""


Jobs = Mapping[tuple[str, int], Look]
"""By the array's name and the job's index in it."""


class Cluster(ABC):
    """A place where jobs run."""

    name: str
    polling: tuple[float, float]
    """Seconds between two looks: shortest, and longest where nothing happens."""

    def check(self, resources: Iterable[Resources]) -> None:  # noqa: B027 (most places have nothing to check)
        """Refuse what can't be submitted. Raises UsageError or NicaBenchError."""

    def largest_array(self) -> int:
        """Most jobs that are submitted together."""
        return 1_000_000

    @abstractmethod
    def submit(self, array: Array, folder: Path, jobs: Sequence[SweepJob]) -> tuple[str, float | None]:
        """Submit jobs; the number of the array, and when its process began where it is one.

        Raises:
            UsageError: if they are refused.
            Unanswered: if it is not known whether they were submitted.
        """

    @abstractmethod
    def find(self, array: Array, folder: Path) -> tuple[str, float | None] | None:
        """What `submit` would have returned for an array of which nobody noted that; None: it was not submitted.

        Raises:
            NicaBenchError: if that can't be told now.
        """

    @abstractmethod
    def look(self, arrays: Sequence[Array], wanted: set[tuple[str, int]], folder: Path) -> Jobs | None:
        """What is known of jobs; None where the cluster does not answer.

        Args:
            arrays: whose jobs.
            wanted: by name and index: those of interest.
            folder: of the arrays' folders.
        """

    @abstractmethod
    def cancel(self, arrays: Sequence[Array]) -> None:
        """Stop an array's jobs and no others. Raises NicaBenchError."""


def last_words(folder: Path, job: str) -> str:
    """Return the last line of the error in the log of a job; empty if it has none.

    submitit also leaves a pickle of the outcome. It is not loaded: the folder may come from anybody.
    """
    from submitit.core.utils import JobPaths

    text = ""
    with contextlib.suppress(OSError):
        text = JobPaths(folder, job).stderr.read_text(errors="replace")[-4000:]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and not line.startswith(("File", "raise", "srun", "submitit"))]
    return re.sub(r"^(?:\w+\.)+(?=\w+:)", "", errors[-1]) if errors else ""


def give_pickles(array: Array, number: str, folder: Path) -> None:
    """Give the jobs of an array their pickles, which the process that submitted them could not do any more.

    To tell which job a pickle is for, it is loaded. That is done only for pickles that this user wrote, on this
    machine, into a folder that other users cannot write to.
    """
    from submitit.core.utils import DelayedSubmission, JobPaths

    if array.host != platform.node() or not _own(folder):
        return
    numbered = replace(array, number=number)
    for path in folder.glob("*.pkl"):
        if re.fullmatch(r"[0-9a-f]{32}\.pkl", path.name) and _own(path):
            job = DelayedSubmission.load(path).function
            if isinstance(job, SweepJob):
                JobPaths(folder, numbered.job_id(job.index)).move_temporary_file(path, "submitted_pickle")


def _own(path: Path) -> bool:
    """Return whether a file or folder belongs to this user, is no link, and can be written to by this user only."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):  # Windows
        return True
    return status.st_uid == os.getuid() and not stat.S_ISLNK(status.st_mode) and not status.st_mode & 0o022


class Local(Cluster):
    """Processes of this machine that outlive the one that submits them: submitit's `LocalExecutor`."""

    name = "local"
    polling = (0.2, 1.0)

    def submit(self, array: Array, folder: Path, jobs: Sequence[SweepJob]) -> tuple[str, float | None]:
        """One process for the array, which has one job: its workers take the groups in turn, as those of `run`."""
        from submitit import LocalExecutor

        executor = LocalExecutor(folder)
        executor.update_parameters(timeout_min=_YEAR_MINUTES)
        try:
            with open(folder / "local.log", "ab") as log, _output(log.fileno()):
                job: Any = executor.submit(jobs[0])
            return job.job_id, psutil.Process(int(job.job_id)).create_time()
        except (OSError, psutil.Error) as error:
            raise Unanswered(f"a job can't be started here: {error}") from error

    def find(self, array: Array, folder: Path) -> tuple[str, float | None] | None:
        """A process whose command line names the array's folder."""
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if "submitit.local._local" in command and str(folder) in command:
                with contextlib.suppress(psutil.Error):
                    born = process.create_time()
                    give_pickles(array, str(process.pid), folder)
                    return str(process.pid), born
        return None

    def look(self, arrays: Sequence[Array], wanted: set[tuple[str, int]], folder: Path) -> Jobs | None:
        """Running while the process is there; jobs of another machine are taken to be running."""
        found = {}
        for array in arrays:
            elsewhere = array.host != platform.node()
            if elsewhere or _process(array) is not None:
                found[array.name, 0] = Look("running")
            else:
                words = last_words(folder / array.name, array.job_id(0))
                why = f"its job, process {array.number}, ended" + (f": {words}" if words else "")
                found[array.name, 0] = Look("ended", Status.KILLED, why)
        return found

    def cancel(self, arrays: Sequence[Array]) -> None:
        """Ask the processes to end, and see that they do."""
        for array in arrays:
            process = _process(array)
            if process is None:
                continue
            with contextlib.suppress(psutil.Error):
                children = process.children(recursive=True)
                process.send_signal(signal.SIGINT)
                _, left = psutil.wait_procs([process, *children], timeout=10)
                for each in left:
                    each.kill()


@contextlib.contextmanager
def _output(number: int) -> Iterator[None]:
    """Give processes that are started meanwhile a file to write to: they outlive whoever reads from this one."""
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(number, 1)
        os.dup2(number, 2)
        yield
    finally:
        for place, file in zip((1, 2), kept, strict=True):
            os.dup2(file, place)
            os.close(file)


def _process(array: Array) -> psutil.Process | None:
    """The process of a local array, where it is still that."""
    with contextlib.suppress(psutil.Error, ValueError, TypeError):
        process = psutil.Process(int(array.number or ""))
        same = array.born is None or abs(process.create_time() - array.born) < 1
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


class Debug(Cluster):
    """This process itself: submitit's `DebugExecutor`. A job has ended when `submit` returns."""

    name = "debug"
    polling = (0.0, 0.0)

    def submit(self, array: Array, folder: Path, jobs: Sequence[SweepJob]) -> tuple[str, float | None]:
        """Run the jobs one after another; what a method raises is a row, what else is raised goes through."""
        from submitit import DebugExecutor

        executor = DebugExecutor(folder)
        for job in jobs:
            handle: Any = executor.submit(job)
            # `result` would begin a debugger's session where there may be no terminal
            if (error := handle.exception()) is not None:
                raise error
        return str(os.getpid()), time.time()

    def find(self, array: Array, folder: Path) -> tuple[str, float | None] | None:
        """It ended with its process."""
        return None

    def look(self, arrays: Sequence[Array], wanted: set[tuple[str, int]], folder: Path) -> Jobs | None:
        """All have ended."""
        return {(a.name, i): Look("ended", why="its process ended") for a in arrays for i in range(len(a.jobs))}

    def cancel(self, arrays: Sequence[Array]) -> None:
        """Nothing is left to be stopped."""
