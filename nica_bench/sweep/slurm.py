"""Slurm: submitting through submitit, and asking after all jobs at once.

A look is one call of squeue for all arrays, whatever their size, and one of sacct where a job is of interest that
squeue does not know any more, or whose end it does not explain.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from nica_bench.errors import NicaBenchError, UsageError, did_you_mean
from nica_bench.records.record import Status
from nica_bench.running.resources import Resources
from nica_bench.sweep.clusters import Cluster, Jobs, Look, Unanswered, give_pickles, last_words
from nica_bench.sweep.job import SweepJob
from nica_bench.sweep.journal import Array

__all__ = ["Slurm"]

_SECONDS = 60.0
"""Longest wait for an answer of Slurm's commands."""
_SETTLED = 15.0
"""Seconds after which an array is either known to Slurm or was never submitted."""

_PENDING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD", "CONFIGURING"}
_RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
_IN_TURN = {"", "None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit"}
"""Why a job waits that will begin without anybody's doing."""
_STATUS = {"TIMEOUT": Status.TIMEOUT, "DEADLINE": Status.TIMEOUT, "OUT_OF_MEMORY": Status.OOM}
_SILENT = re.compile(r"(?i)unable to contact|connection|timed out|communicat|zero bytes|slurmdbd|try again")


class _NoAnswer(Exception):
    """Slurm does not answer."""


class Slurm(Cluster):
    """Jobs of a Slurm cluster: submitit's `SlurmExecutor`."""

    name = "slurm"
    polling = (2.0, 60.0)

    def check(self, resources: Iterable[Resources]) -> None:
        """Refuse partitions that are not there, and all where sbatch is missing."""
        missing = [tool for tool in ("sbatch", "squeue", "scancel", "sinfo", "srun") if shutil.which(tool) is None]
        if missing:
            raise UsageError(
                f"--cluster slurm needs the command {missing[0]}, which is not here: give the command on a login node, "
                "or take --cluster local"
            )
        try:
            listed = _call("sinfo", "--noheader", "--all", "--format=%R").split()
        except _NoAnswer as error:
            raise NicaBenchError(f"nothing was submitted, for Slurm does not answer: {error}") from error
        known = set(listed)
        for wanted in resources:
            for name in (wanted.partition or "").split(","):
                if name and name not in known:
                    raise UsageError(f"Slurm has no partition '{name}'; {did_you_mean(name, known)}")

    def largest_array(self) -> int:
        """Most jobs that an array may have."""
        try:
            match = re.search(r"MaxArraySize\s*=\s*(\d+)", _call("scontrol", "show", "config"))
        except _NoAnswer:
            match = None
        return max(1, int(match[1]) - 1) if match else 1000

    def script(self, array: Array, folder: Path) -> str:
        """The script that sbatch gets."""
        from submitit.slurm.slurm import _make_sbatch_string

        jobs = len(array.jobs)
        command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(folder))}"
        given = array.resources.sbatch(array.name)
        return str(_make_sbatch_string(command=command, folder=folder, map_count=jobs if jobs > 1 else None, **given))

    def submit(self, array: Array, folder: Path, jobs: Sequence[SweepJob]) -> tuple[str, float | None]:
        """One call of sbatch."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        executor = SlurmExecutor(folder, max_num_timeout=array.resources.requeues)
        executor.update_parameters(**array.resources.sbatch(array.name))
        try:
            with executor.batch():
                handles = [executor.submit(job) for job in jobs]
        except (FailedJobError, FailedSubmissionError, OSError, subprocess.SubprocessError) as error:
            lines = [line.strip() for line in str(error).splitlines() if "sbatch:" in line]
            text = "; ".join(line.removeprefix("sbatch: error: ") for line in lines) or str(error)
            if isinstance(error, OSError) or _SILENT.search(text) or not lines:
                raise Unanswered(f"it is not known whether Slurm took the jobs: {text}") from error
            raise UsageError(f"Slurm refused the jobs: {text}") from error
        return handles[0].job_id.partition("_")[0], None

    def find(self, array: Array, folder: Path) -> tuple[str, float | None] | None:
        """Ask Slurm for a job of the array's name; wait until one that is on its way has arrived."""
        while True:
            late = time.time() - array.created > _SETTLED
            try:
                lines = _call("squeue", "--noheader", "--states=all", f"--name={array.name}", "--format=%F").split()
                if not lines and late:
                    start = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(array.created - 86400))
                    asked = f"--name={array.name}", f"--starttime={start}", "--format=JobID"
                    lines = _call("sacct", "--noheader", "--parsable2", "--allocations", *asked).split()
            except _NoAnswer as error:
                raise NicaBenchError(
                    f"it is not known whether {array.name} was submitted, and Slurm does not answer: {error}"
                ) from error
            if lines:
                number = lines[0].partition("_")[0]
                give_pickles(array, number, folder)
                return number, None
            if late:
                return None
            time.sleep(2)

    def look(self, arrays: Sequence[Array], wanted: set[tuple[str, int]], folder: Path) -> Jobs | None:
        """One call of squeue, and one of sacct where it is needed."""
        names = ",".join(a.name for a in arrays)
        try:
            listed = _call(
                "squeue", "--noheader", "--array", "--states=all", f"--name={names}", "--format=%F|%K|%T|%N|%r"
            )
        except _NoAnswer:
            return None
        numbers = {a.number: a for a in arrays}
        states: dict[tuple[str, int], tuple[str, str]] = {}
        waiting: dict[tuple[str, int], str] = {}
        for line in listed.splitlines():
            number, index, state, node, reason = (part.strip() for part in line.split("|", 4))
            if number in numbers:
                job = numbers[number].name, int(index) if index.isdigit() else 0
                states[job] = state, node
                waiting[job] = "" if reason in _IN_TURN else reason
        open_ = _PENDING | _RUNNING
        unclear = {job for job in wanted if job not in states or states[job][0] not in open_}
        if unclear:
            try:
                told = self._accounted([a for a in arrays if any(name == a.name for name, _ in unclear)])
            except _NoAnswer:
                told = {}  # a cluster may have no accounting: what squeue said, or its silence, has to do
            for job in unclear & told.keys():
                if job not in states or states[job][0] not in open_:
                    state, node = told[job]
                    explained = states.get(job, ("", ""))[0]
                    states[job] = (explained if explained in _STATUS else state), node
        by_name = {a.name: a for a in arrays}
        return {
            job: _look(states.get(job), waiting.get(job, ""), by_name[job[0]], job[1], folder)
            for a in arrays
            for job in [(a.name, i) for i in range(len(a.jobs))]
        }

    def _accounted(self, arrays: Sequence[Array]) -> dict[tuple[str, int], tuple[str, str]]:
        """States and nodes from accounting; a step that ran out of memory says so where its job does not."""
        numbers = {a.number: a.name for a in arrays}
        asked = "--jobs=" + ",".join(str(n) for n in numbers)
        text = _call("sacct", "--noheader", "--parsable2", asked, "--format=JobID,State,NodeList")
        found: dict[tuple[str, int], tuple[str, str]] = {}
        for line in text.splitlines():
            name, state, node = [*line.split("|"), "", ""][:3]
            match = re.fullmatch(r"(\d+)(?:_(\d+))?(\..+)?", name)
            if match is None or match[1] not in numbers:  # `12_[4-9]`: still waiting, so squeue knows more
                continue
            job = numbers[match[1]], int(match[2] or 0)
            word = state.split()[0] if state.split() else ""
            if match[3] is None:
                found[job] = word, node
            elif word == "OUT_OF_MEMORY" and job in found and found[job][0] in ("FAILED", "COMPLETED", "CANCELLED"):
                found[job] = word, found[job][1]
        return found

    def cancel(self, arrays: Sequence[Array]) -> None:
        """One call of scancel; jobs that have ended already are no error."""
        numbers = [a.number for a in arrays if a.number]
        if numbers:
            try:
                _call("scancel", "--quiet", *numbers)
            except _NoAnswer as error:
                raise NicaBenchError(f"the jobs could not be cancelled: {error}") from error


def _look(found: tuple[str, str] | None, waits: str, array: Array, index: int, folder: Path) -> Look:
    """What a state of Slurm's means."""
    job = array.job_id(index)
    if found is None:
        return Look("ended", Status.KILLED, f"job {job} is not known to Slurm any more: cancelled before it began?")
    state, node = found
    if state in _PENDING:
        return Look("pending", why=waits)
    if state in _RUNNING:
        return Look("running")
    where = f" on {node}" if node and not node.startswith("None") else ""
    why = f"job {job} ended{where}: {state}"
    status = _STATUS.get(state, Status.KILLED)
    if status is Status.KILLED and state not in ("CANCELLED", "NODE_FAIL", "PREEMPTED"):
        words = last_words(folder / array.name, job)
        if "timed-out too many times" in words:
            again = array.resources.requeues
            times = "once" if again == 0 else f"{again + 1} times"
            return Look("ended", Status.TIMEOUT, f"job {job} reached its time limit {times}")
        if not words and _ran_out(folder / array.name, job):
            return Look("ended", Status.OOM, f"job {job} ended{where}: OUT_OF_MEMORY")
        why += f", {words}" if words else ""
    return Look("ended", status, why)


def _ran_out(folder: Path, job: str) -> bool:
    """Whether what a job printed last says that it ran out of memory: accounting says so late, or never."""
    from submitit.core.utils import JobPaths

    try:
        text = JobPaths(folder, job).stderr.read_text(errors="replace")[-1000:]
    except OSError:
        return False
    return "oom-kill event" in text or ": Out Of Memory" in text


def _call(*command: str) -> str:
    """Output of one of Slurm's commands. Raises _NoAnswer where it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise _NoAnswer(str(error)) from error
    if done.returncode:
        raise _NoAnswer(f"{command[0]}: " + (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout
