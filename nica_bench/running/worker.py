"""One worker process: how it is started, and its life, in which it takes groups one after another."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from nica_bench.errors import NicaBenchError
from nica_bench.method import Interrupted
from nica_bench.running.machine import memory_kills
from nica_bench.running.plan import Group
from nica_bench.running.work import Setting, run_group

__all__ = ["Flags", "Worker", "held_back", "start_worker"]

_PARENTS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR2") if hasattr(signal, name)]


class Flags(ctypes.Structure):
    """What a worker and its parent say to each other without a lock, so that a signal's handler may say it too.

    Fields:
        stop: the parent asks the present fit to save its state and stop.
        listens: the present fit asks now and then whether it is to.
    """

    _fields_ = (("stop", ctypes.c_bool), ("listens", ctypes.c_bool))


@dataclass
class Worker:
    """A process and what it is at.

    Args:
        flags: memory that both share.
        ready: it has started and loaded the method files.
        group: what it works on, if anything.
        begun: index of the run in the group that was begun last.
        since: when that was, seconds since 1970.
        finished: indices of the group's runs whose records are written.
        gone: it has ended.
        kills: processes that had been ended for want of memory when this one was started.
    """

    process: SpawnProcess
    pipe: Connection
    flags: Flags
    ready: bool = False
    group: Group | None = None
    begun: int = 0
    since: float = field(default_factory=time.time)
    finished: set[int] = field(default_factory=set)
    gone: bool = False
    kills: int = field(default_factory=memory_kills)

    def ending(self) -> str:
        """How the process ended, for people."""
        code = self.process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"


def start_worker(setting: Setting, modules: tuple[str, ...]) -> Worker:
    """Start a process that loads the files of methods and scenarios and waits for groups."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    flags = context.RawValue(Flags)
    # not daemonic: a method may use processes of its own
    process = context.Process(target=_serve, args=(theirs, flags, setting, modules))
    if os.name == "posix":
        resource_tracker.ensure_running()  # starting it on the way would let Ctrl-C through again
    # A terminal and Slurm send these to all processes, but the parent ends its workers itself.
    with held_back(*_PARENTS), _working_folder_last():
        process.start()
    theirs.close()
    return Worker(process, ours, flags)


@contextlib.contextmanager
def _working_folder_last() -> Iterator[None]:
    """Let processes that are started meanwhile look for modules in the working folder after all other places.

    A file such as `locale.py` beside a method's file would otherwise take the place of the standard library's module.
    """
    path, safe = list(sys.path), os.environ.get("PYTHONSAFEPATH")
    here = [entry for entry in path if entry == "" or os.path.abspath(entry) == os.getcwd()]
    sys.path[:] = [*(entry for entry in path if entry not in here), *here]
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        sys.path[:] = path
        if safe is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = safe


@contextlib.contextmanager
def held_back(*signals: signal.Signals) -> Iterator[None]:
    """Keep signals from this process until the end, and from a process started meanwhile for good."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, flags: Flags, setting: Setting, modules: tuple[str, ...]) -> None:
    """A worker's life: groups in, progress out; it ends when its parent is gone."""
    from nica_bench.registry import load_file

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # what a method prints is not part of the run's output
    try:
        try:
            for path in modules:
                load_file(Path(path))
            pipe.send(("ready", None))
            while not flags.stop:
                group = pipe.recv()
                run_group(group, setting, *_channel(pipe, flags))
                flags.listens = False
                pipe.send(("done", None))
        except Interrupted:
            return
        except NicaBenchError as error:
            pipe.send(("fatal", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _channel(pipe: Connection, flags: Flags) -> tuple[Callable[[str, Any], None], Callable[[], bool]]:
    """What tells the parent how a group goes on, and what a fit asks whether to stop."""

    def send(kind: str, value: Any) -> None:
        if kind == "begun":
            flags.listens = False
        pipe.send((kind, value))

    def interrupted() -> bool:
        flags.listens = True
        return bool(flags.stop)

    return send, interrupted


def _end_with_parent() -> None:
    """End this process at once when its parent has ended: in the middle of a fit it would not notice for long."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
