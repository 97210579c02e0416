"""The machine and the software that a run would use."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from nica_bench._version import __version__
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.provenance import checkout, package_version

__all__ = ["DEVICES", "check_device_name", "data_folder", "environment", "usable_cores"]

DEVICES = ("auto", "cpu", "cuda", "mps")


def check_device_name(name: str) -> None:
    """Refuse a name that is no device's; whether the device is there is another question, which needs torch.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in DEVICES:
        raise UsageError(f"unknown device '{name}'; {did_you_mean(name, DEVICES)}")


_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas")
_COMPILERS = ("g++", "clang++", "c++")


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def data_folder() -> Path:
    """Where downloaded data are kept: `$NICA_BENCH_DATA`, or `nica-bench` in the user's cache folder."""
    named = os.environ.get("NICA_BENCH_DATA")
    if named:
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nica-bench"


def environment() -> dict[str, Any]:
    """Versions, devices, cores, memory, compiler and folders, as JSON values. Imports torch.

    Returns:
        'nica-bench', 'commit' (None outside a checkout), 'python', 'platform', 'packages' (versions by name, None where
        one is missing), 'device' (what --device auto takes), 'accelerators' (names), 'cores' (usable ones),
        'memory_bytes', 'memory_available_bytes', 'compiler' (path of the one torch.compile would call, or None) and
        'data_folder'.
    """
    import torch

    from nica_bench.training.device import resolve_device

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
