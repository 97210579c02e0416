"""Keeping one method's fit from reaching the next: its data, the state of its process, and the time it is charged.

A worker process fits many methods one after another. Each of them finds the data as the scenario made them and the
process as it was at its start, whatever the methods before it did; the time of a fit does not contain the imports that
happen to fall into it.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import locale
import os
import random
import signal
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from nica_bench.dataset import Dataset
from nica_bench.seeds import Streams

__all__ = ["ImportClock", "checksum", "isolated"]


def checksum(data: Dataset) -> int:
    """Return the CRC-32 of all arrays of a dataset.

    Arrays are marked read-only, but `torch.from_numpy` shares their memory and ignores the mark, so that a method can
    change them in place without an error.
    """
    value = 0
    for split in data.splits:
        for array in (split.x, split.u, split.z):
            if array is not None:
                value = zlib.crc32(array.data, value)
    return value


@contextlib.contextmanager
def isolated(streams: Streams) -> Iterator[None]:
    """Run a fit and its scoring, then put the state of the process back.

    The global random generators of Python, NumPy and torch are seeded from `streams` at the start: a method should not
    use them, and one that does gives the same result whatever ran before it. At the end the environment, the working
    folder, the import path, the recursion limit, NumPy's error handling, signal handlers, the locale, the file mode
    mask, the garbage collector and torch's global settings are as they were.

    Args:
        streams: the random streams of the fit.
    """
    state = _State()
    seed = int(streams.numpy("global generators").integers(2**32))
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the legacy generator is what a method might use
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        state.restore()


class _State:
    """The global state of the process at one moment."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self.folder = os.getcwd()
        self.path = list(sys.path)
        self.streams = sys.stdin, sys.stdout, sys.stderr
        self.recursion_limit = sys.getrecursionlimit()
        self.errors = np.geterr()
        self.collecting = gc.isenabled()
        self.locale = locale.setlocale(locale.LC_ALL)
        self.mask = os.umask(0o022)
        os.umask(self.mask)
        self.handlers = {number: signal.getsignal(number) for number in _changeable()}
        self.torch = _torch_settings(sys.modules.get("torch"))

    def restore(self) -> None:
        """Put everything back that has changed."""
        if os.environ != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        with contextlib.suppress(OSError):  # a folder that was removed meanwhile cannot be entered
            os.chdir(self.folder)
        sys.path[:] = self.path
        sys.stdin, sys.stdout, sys.stderr = self.streams
        sys.setrecursionlimit(self.recursion_limit)
        np.seterr(**self.errors)
        (gc.enable if self.collecting else gc.disable)()
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, self.locale)
        os.umask(self.mask)
        for number, handler in self.handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        _set_torch(sys.modules.get("torch"), self.torch)


def _changeable() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGPIPE", "SIGCHLD")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _torch_settings(torch: ModuleType | Any | None) -> Mapping[str, Any] | None:
    """Return torch's global settings; None where torch is not imported yet."""
    if torch is None:
        return None
    return {
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "device": torch.get_default_device(),
    }


def _set_torch(torch: ModuleType | Any | None, settings: Mapping[str, Any] | None) -> None:
    """Set torch's global settings; to those of a fresh import where the fit was the first to import it."""
    if torch is None:
        return
    if settings is None:
        settings = {
            "dtype": torch.float32,
            "threads": torch.get_num_threads(),  # set by the method contract's own session, not by default
            "gradients": True,
            "anomalies": False,
            "deterministic": False,
            "precision": "highest",
            "device": torch.device("cpu"),
        }
    now = _torch_settings(torch)
    assert now is not None, "torch is imported"
    setters = {
        "dtype": torch.set_default_dtype,
        "threads": torch.set_num_threads,
        "gradients": torch.set_grad_enabled,
        "anomalies": torch.autograd.set_detect_anomaly,
        "deterministic": torch.use_deterministic_algorithms,
        "precision": torch.set_float32_matmul_precision,
        "device": lambda device: torch.set_default_device(None if device.type == "cpu" else device),
    }
    for name, value in settings.items():
        if now[name] != value:
            setters[name](value)


class ImportClock:
    """Measure the time that `import` statements take while it is active, of wall clock and processor.

    A context manager. The first fit of a process imports what it needs; without this, that fit alone would be charged
    for it.

    Attributes:
        wall, cpu: seconds spent in import statements so far.
    """

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._depth = 0
        self._original = builtins.__import__

    def __enter__(self) -> ImportClock:
        self._original = builtins.__import__
        builtins.__import__ = self._timed
        return self

    def __exit__(self, *error: object) -> None:
        builtins.__import__ = self._original

    def _timed(self, *arguments: Any, **named: Any) -> ModuleType:
        if self._depth:
            return self._original(*arguments, **named)
        self._depth += 1
        wall, cpu = time.time(), time.process_time()
        try:
            return self._original(*arguments, **named)
        finally:
            self._depth -= 1
            self.wall += time.time() - wall
            self.cpu += time.process_time() - cpu
