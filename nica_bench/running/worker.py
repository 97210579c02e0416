"""A worker process, which computes groups of runs one after another."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from nica_bench.errors import NicaBenchError
from nica_bench.method import Interrupted
from nica_bench.running.machine import memory_kills
from nica_bench.running.plan import Group
from nica_bench.running.work import Setting, run_group

__all__ = ["Flags", "Worker", "held_back", "start_worker"]

_PARENTS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR2") if hasattr(signal, name)]


class Flags(ctypes.Structure):
    """Flags that a worker and its parent share without a lock, so that a signal handler may set them.

    Fields:
        stop: whether the current fit shall save its state and stop.
        listens: whether the current fit checks `stop` regularly.
    """

    _fields_ = (("stop", ctypes.c_bool), ("listens", ctypes.c_bool))


@dataclass
class Worker:
    """A worker process and the group that it is computing.

    Args:
        process: the process.
        pipe: the parent's end of the connection.
        flags: the flags that both processes share.
        ready: whether it has started and loaded its files.
        group: the group that it is computing, or None.
        begun: the index in the group of the run that was begun last.
        since: the time at which it was begun, in seconds since 1970.
        finished: the indices of the runs of the group whose records are written.
        gone: whether the process has ended.
        kills: `memory_kills()` at the start of the worker.
        unread: why it could not make the scenario and method of the group, otherwise empty.
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
    unread: str = ""

    def send(self, group: Group, setting: Setting) -> None:
        """Give it a group, with the metrics of the setting.

        Classes that no module holds, those of a notebook or of a script, are sent by value. The versions are sent
        beside the classes, because a worker that imports one does not know what was added to its version here.
        """
        import cloudpickle

        owners = {owner for run in group.runs for owner in (type(run.method), type(run.scenario))}
        versions = [(owner, owner.version) for owner in owners]
        self.pipe.send_bytes(cloudpickle.dumps((group, setting.metrics, versions)))

    def ending(self) -> str:
        """Return the name of the signal or the exit code with which the process ended."""
        code = self.process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"


def start_worker(setting: Setting, modules: tuple[str, ...]) -> Worker:
    """Return a new worker, which loads the files of methods and scenarios and waits for groups."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    flags = context.RawValue(Flags)
    # not daemonic, since a method may start child processes
    process = context.Process(target=_serve, args=(theirs, flags, replace(setting, metrics=()), modules))
    if os.name == "posix":
        resource_tracker.ensure_running()  # started later, it would unblock Ctrl-C
    # A terminal and Slurm send these signals to all processes, but the parent ends its workers itself.
    with held_back(*_PARENTS), _no_main(), _working_folder_last():
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
def _no_main() -> Iterator[None]:
    """Let a process that is started meanwhile not import this one's main module: a script would run once more."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def held_back(*signals: signal.Signals) -> Iterator[None]:
    """Block signals for this process in the context, and for good in processes that are started in it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, flags: Flags, setting: Setting, modules: tuple[str, ...]) -> None:
    """Run the main loop of a worker, which receives groups and sends progress until its parent ends."""
    from nica_bench.registry import load_file

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # output of a method goes to stderr
    try:
        try:
            for path in modules:
                load_file(Path(path))
            pipe.send(("ready", None))
            while not flags.stop:
                packed = pipe.recv_bytes()
                try:
                    group, metrics, versions = pickle.loads(packed)
                except Exception as error:
                    pipe.send(("unread", f"a worker cannot make it: {type(error).__name__}: {error}"))
                    return
                for owner, version in versions:
                    owner.version = version
                run_group(group, replace(setting, metrics=metrics), *_channel(pipe, flags))
                flags.listens = False
                pipe.send(("done", None))
        except Interrupted:
            return
        except NicaBenchError as error:
            pipe.send(("fatal", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _channel(pipe: Connection, flags: Flags) -> tuple[Callable[[str, Any], None], Callable[[], bool]]:
    """Return the function that sends progress to the parent, and the function that says whether to stop."""

    def send(kind: str, value: Any) -> None:
        if kind == "begun":
            flags.listens = False
        pipe.send((kind, value))

    def interrupted() -> bool:
        flags.listens = True
        return bool(flags.stop)

    return send, interrupted


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, even during a fit."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
