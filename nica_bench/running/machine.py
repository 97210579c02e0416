"""The machine and the software of a run: cores, memory and versions."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from nica_bench._version import __version__
from nica_bench.images.files import data_folder
from nica_bench.records.provenance import checkout, package_version
from nica_bench.training.device import resolve_device

__all__ = ["environment", "memory_kills", "memory_limit", "usable_cores"]

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas")
_COMPILERS = ("g++", "clang++", "c++")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_limit() -> int:
    """Return the memory limit of the Slurm job in bytes, or 2^62 without a limit."""
    per_node = os.environ.get("SLURM_MEM_PER_NODE", "")
    per_core, cores = os.environ.get("SLURM_MEM_PER_CPU", ""), os.environ.get("SLURM_CPUS_ON_NODE", "")
    if per_node.isdigit() and int(per_node):
        return int(per_node) << 20
    if per_core.isdigit() and cores.isdigit():
        return int(per_core) * int(cores) << 20
    return 1 << 62


def memory_kills() -> int:
    """Return how many processes of this control group the kernel has killed because they were out of memory.

    The kernel sends SIGKILL, as other processes may do; only this number tells the two causes apart.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return 0
    kills = 0
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            file = Path("/sys/fs/cgroup" + path, "memory.events")
        elif "memory" in controllers.split(","):
            file = Path("/sys/fs/cgroup/memory" + path, "memory.oom_control")
        else:
            continue
        with contextlib.suppress(OSError):
            counts = dict(entry.split() for entry in file.read_text().splitlines())
            kills += int(counts.get("oom_kill", 0))
    return kills


def environment() -> dict[str, Any]:
    """Return versions, devices, cores, memory, compiler and folders as JSON values. This imports torch.

    Returns:
        'nica-bench', 'commit' (None outside a checkout), 'python', 'platform', 'packages' (versions by name, None if
        one is missing), 'device' (that of --device auto), 'accelerators' (names), 'cores' (usable ones),
        'memory_bytes', 'memory_available_bytes', 'compiler' (path of the compiler of torch.compile, or None) and
        'data_folder'.
    """
    import torch

    commit, dirty = checkout(Path(__file__).resolve().parent)
    memory = psutil.virtual_memory()
    return {
        "nica-bench": __version__,
        "commit": None if commit is None else commit[:12] + (" with changes" if dirty else ""),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: package_version(package) for package in _PACKAGES},
        "device": resolve_device("auto"),
        "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cores": usable_cores(),
        "memory_bytes": int(memory.total),
        "memory_available_bytes": int(memory.available),
        "compiler": next((path for name in _COMPILERS if (path := shutil.which(name))), None),
        "data_folder": str(data_folder()),
    }
