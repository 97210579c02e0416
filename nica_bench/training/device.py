"""Devices: which one to use, and the settings that make a run repeatable on it."""

from __future__ import annotations

import shutil

from nica_bench.errors import UsageError, did_you_mean

__all__ = ["DEVICES", "check_compiler", "check_device_name", "prepare", "resolve_device"]

DEVICES = ("auto", "cpu", "cuda", "mps")


def check_device_name(name: str) -> None:
    """Refuse an unknown device name. Whether the device is present is a separate question, which needs torch.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in DEVICES:
        raise UsageError(f"unknown device '{name}'; {did_you_mean(name, DEVICES)}")


def resolve_device(name: str) -> str:
    """The device that a name stands for: `auto` is cuda, then mps, then cpu.

    Raises:
        UsageError: for an unknown name, or a device that this machine or this build of torch lacks.
    """
    import torch

    check_device_name(name)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, found in there.items() if found)
    if not there[name]:
        raise UsageError(f"device '{name}' is not available here (torch {torch.__version__}); use --device auto or cpu")
    return name


def check_compiler() -> None:
    """Refuse `--compile` where torch.compile has no compiler to call.

    Raises:
        UsageError: if there is no C++ compiler on the PATH.
    """
    if not any(shutil.which(compiler) for compiler in ("g++", "clang++", "c++")):
        raise UsageError("--compile needs a C++ compiler (g++ or clang++) on the PATH: install one or leave it out")


def prepare(device: str, threads: int = 1) -> None:
    """Full float32 precision in products (no TF32), and one thread unless the operations are large."""
    import torch

    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if device == "cpu":
        torch.set_float32_matmul_precision("highest")
