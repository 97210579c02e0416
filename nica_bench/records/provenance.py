"""Where a record comes from: code, versions, machine, command and times."""

from __future__ import annotations

import functools
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from nica_bench._version import __version__

__all__ = ["checkout", "package_version", "peak_memory_bytes", "provenance"]

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")
_SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
_GIT_SECONDS = 5.0


def provenance(command: Sequence[str], device: str, threads: int, started: float) -> dict[str, Any]:
    """What is known of the process that makes a record, as JSON values. The time of the call is the end.

    Args:
        command: the command line, one string an argument.
        device: where the run was computed, such as 'cpu' or 'cuda:0 (NVIDIA H100)'.
        threads: number of threads it was allowed.
        started: when the run was begun, seconds since 1970 as from `time.time()`.

    Returns:
        'nica_bench' (version), 'git' ('commit' and 'dirty', or None where the package is not in a checkout),
        'versions' (by package, None where one is not installed), 'python', 'platform', 'host', 'cpu', 'device',
        'threads', 'slurm' (ids by name of their variable, None outside Slurm), 'command' (quoted for a shell),
        'started' and 'ended' (ISO 8601, UTC).
    """
    commit, dirty = checkout(Path(__file__).resolve().parent)
    slurm = {name: os.environ[name] for name in _SLURM if name in os.environ}
    return {
        "nica_bench": __version__,
        "git": None if commit is None else {"commit": commit, "dirty": dirty},
        **_machine(),
        "device": device,
        "threads": threads,
        "slurm": slurm or None,
        "command": shlex.join(_named(command)),
        "started": _utc(started),
        "ended": _utc(time.time()),
    }


@functools.cache
def checkout(folder: Path) -> tuple[str | None, bool | None]:
    """Commit of the git checkout that tracks a folder, and whether its code differs from that commit.

    Asked once a process, so that an edit made during a run does not change what its later records say.

    Args:
        folder: the folder of a package.

    Returns:
        Commit (40 or 64 hexadecimal digits) and dirty flag: outside its folder `results` a tracked file differs or
        there is a Python file that git neither tracks nor ignores. Both are None outside a checkout and where git is
        missing or does not answer in time. A package that is installed *inside* somebody's repository (a virtual
        environment) is outside.
    """
    if not _git(folder, "ls-files", "--", "."):
        return None, None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None, None
    # Results that are published in turn, from one checkout, don't make the code of the later ones another.
    places = ":(top)", ":(top,exclude)results"
    status = _git(folder, "status", "--porcelain", "-z", "--untracked-files=all", "--", *places)
    if status is None:
        return commit.strip(), None
    # Results that a run writes into its own checkout are untracked too, and don't make its code another one.
    changes = [entry for entry in status.split("\0") if entry and (entry[:2] != "??" or entry.endswith(".py"))]
    return commit.strip(), bool(changes)


def peak_memory_bytes() -> int:
    """Largest resident memory that this process has had so far, in bytes; it never falls, whatever run is running."""
    if sys.platform == "linux":
        # ru_maxrss survives exec, so that of a worker begins with its parent's peak; VmHWM belongs to the process.
        try:
            with open("/proc/self/status", encoding="ascii", errors="replace") as file:
                for line in file:
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) * 1024
        except (OSError, ValueError, IndexError):
            pass
    try:
        import resource
    except ImportError:  # Windows
        memory = psutil.Process().memory_info()
        return int(getattr(memory, "peak_wset", memory.rss))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)  # bytes on macOS, kilobytes elsewhere


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command, or None where it fails for whatever reason."""
    # A git hook sets GIT_DIR and its relatives, which would point to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # `status` is not to write into a checkout that others use
    return _output(["git", "-C", str(folder), *arguments], environment)


def _named(command: Sequence[str]) -> list[str]:
    """A command line with the name of the program and not its place on this machine."""
    program, *arguments = command or ("",)
    name = Path(program).name
    return [{"__main__.py": "nica-bench"}.get(name, name), *arguments]


def _output(command: list[str], environment: dict[str, str] | None = None) -> str | None:
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def package_version(package: str) -> str | None:
    """Version of an installed package, or None where it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """Model of the processor, as far as the system tells."""
    model = ""
    if sys.platform == "linux":
        try:
            lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    elif sys.platform == "darwin":
        model = (_output(["sysctl", "-n", "machdep.cpu.brand_string"]) or "").strip()
    return model or platform.processor() or platform.machine()


@functools.cache
def _machine() -> dict[str, Any]:
    return {
        "versions": {package: package_version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu": _cpu(),
    }
