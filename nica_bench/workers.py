"""Worker processes: each takes groups one after another; one that dies or hangs fails its own cells only."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from nica_bench.environment import memory_kills, usable_cores
from nica_bench.errors import NicaBenchError
from nica_bench.method import Interrupted
from nica_bench.plan import Group
from nica_bench.record import Status
from nica_bench.reporter import Reporter
from nica_bench.store import Store
from nica_bench.work import Setting, failed_record, run_group

__all__ = ["run_groups"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GRACE = 10.0
"""Seconds that interrupted fits have for saving their state."""
_PARENTS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR2") if hasattr(signal, name)]
_FAILED_STARTS = 3
"""Workers that may end in a row before they are ready for work; the run is given up then."""


@dataclass
class _Worker:
    """A process and what it is at.

    Args:
        ready: it has started and loaded the method files.
        group: what it works on, if anything.
        begun: index of the cell in the group that was begun last.
        since: when that was, seconds since 1970.
        finished: indices of the group's cells whose records are written.
        gone: it has ended.
        listens: the present fit asks whether it is interrupted.
        kills: processes that had been ended for want of memory when this one was started.
    """

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    group: Group | None = None
    begun: int = 0
    since: float = field(default_factory=time.time)
    finished: set[int] = field(default_factory=set)
    gone: bool = False
    listens: bool = False
    kills: int = field(default_factory=memory_kills)

    def ending(self) -> str:
        """How the process ended, for people."""
        code = self.process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"


def run_groups(
    groups: Sequence[Group],
    setting: Setting,
    jobs: int,
    timeout: float | None,
    modules: tuple[str, ...],
    reporter: Reporter,
) -> None:
    """Run groups on worker processes and return when each of their cells has a record.

    Args:
        groups: what to run, in this order.
        setting: of the run.
        jobs: most workers at once.
        timeout: most seconds a cell; cells that train together have their sum.
        modules: files of methods and scenarios that a worker loads first.
        reporter: is told how the groups go on.

    Raises:
        NicaBenchError: if records can't be written any more, or workers can't be started; what is finished is kept.
    """
    store = Store.open(setting.out)
    queue = deque(groups)
    # as many threads as a worker uses: set before it imports its numerical libraries
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    setting = replace(setting, threads=max(1, usable_cores() // max(1, min(jobs, len(groups)))))
    if setting.threads > 1:
        # threads that spin while they wait bring a machine that has other work to a halt
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    workers: list[_Worker] = []
    failed_starts = 0
    try:
        workers += [_start(setting, modules) for _ in range(min(jobs, len(groups)))]
        while queue or any(w.group for w in workers):
            heard = wait([end for w in workers for end in (w.pipe, w.process.sentinel)], timeout=0.5)
            for worker in list(workers):
                if worker.pipe in heard or worker.process.sentinel in heard:
                    _listen(worker, queue, reporter)
                    failed_starts = 0 if worker.ready else failed_starts
                status, message = _trouble(worker, timeout)
                if status is not None:
                    _give_up(worker, status, message, store, setting, queue, reporter)
                if worker.gone:
                    workers.remove(worker)
                    worker.pipe.close()
                    failed_starts += not worker.ready
                    if failed_starts >= _FAILED_STARTS:
                        raise NicaBenchError(f"worker processes end before they begin: {worker.ending()}")
                    if queue:
                        workers.append(_start(setting, modules))
        for worker in workers:
            worker.pipe.close()  # tells it to end
        for worker in workers:
            worker.process.join(5)
    finally:
        # a second Ctrl-C must not leave workers behind: this process would wait for them at its end
        with _held_back(signal.SIGINT, signal.SIGTERM):
            _interrupt([w for w in workers if w.group is not None and not w.gone])
            for worker in workers:
                worker.process.kill()
            for worker in workers:
                worker.process.join()


def _interrupt(workers: Sequence[_Worker]) -> None:
    """Let fits that can save their state do so, for a few seconds."""
    asked = []
    for worker in workers:
        # a closed pipe or a worker that has just died is no matter: it is ended in any case
        with contextlib.suppress(EOFError, OSError, NicaBenchError):
            while worker.pipe.poll():
                kind, _ = worker.pipe.recv()
                worker.listens = (worker.listens and kind != "begun") or kind == "listens"
            if worker.listens:
                worker.pipe.send(None)
                asked.append(worker)
    end = time.monotonic() + _GRACE
    for worker in asked:
        worker.process.join(max(0.0, end - time.monotonic()))


def _start(setting: Setting, modules: tuple[str, ...]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # not daemonic: a method may use processes of its own
    process = context.Process(target=_serve, args=(theirs, setting, modules))
    if os.name == "posix":
        resource_tracker.ensure_running()  # starting it on the way would let Ctrl-C through again
    # A terminal and Slurm send these to all processes, but the parent ends its workers itself.
    with _held_back(*_PARENTS):
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _held_back(*signals: signal.Signals) -> Iterator[None]:
    """Keep signals from this process until the end, and from a process started meanwhile for good."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(worker: _Worker, queue: deque[Group], reporter: Reporter) -> None:
    """Take what a worker has sent, and give it work where it has none."""
    try:
        while worker.pipe.poll():
            kind, value = worker.pipe.recv()
            if kind == "fatal":
                raise NicaBenchError(value)
            if kind in ("ready", "done"):
                worker.ready = True
                if worker.group is not None:
                    reporter.ended(worker.group)
                worker.group = queue.popleft() if queue else None
                worker.begun, worker.since, worker.finished = 0, time.time(), set()
                if worker.group is not None:
                    worker.pipe.send(worker.group)
                    reporter.begun(worker.group)
            elif worker.group is not None:
                if kind == "begun":
                    worker.begun, worker.since, worker.listens = value, time.time(), False
                elif kind == "listens":
                    worker.listens = True
                elif kind == "step":
                    reporter.step(worker.group, value)
                elif kind == "cell":
                    worker.finished.add(value)
                    reporter.cell(worker.group)
        # a process of the method's own may hold the pipe open after the worker's end
        worker.gone = not worker.process.is_alive()
    except (EOFError, OSError):
        worker.process.join(5)
        worker.gone = True


def _trouble(worker: _Worker, timeout: float | None) -> tuple[Status | None, str]:
    """Why a worker's group has to be given up, if so; a worker that takes too long is ended."""
    group = worker.group
    if group is None:
        return None, ""
    if worker.gone:
        if worker.process.exitcode == -signal.SIGKILL and memory_kills() > worker.kills:
            return Status.OOM, "the kernel ended the worker process: out of memory"
        return Status.KILLED, f"the worker process ended: {worker.ending()}"
    if timeout is not None and time.time() - worker.since > timeout * (len(group.cells) if group.together else 1):
        worker.process.kill()
        worker.process.join()
        worker.gone = True
        return Status.TIMEOUT, f"took longer than the limit of {timeout:g} s a cell"
    return None, ""


def _give_up(
    worker: _Worker,
    status: Status,
    message: str,
    store: Store,
    setting: Setting,
    queue: deque[Group],
    reporter: Reporter,
) -> None:
    """A row for each cell that was being fitted; the cells behind it go to another worker."""
    group = worker.group
    assert group is not None
    worker.group = None
    end = len(group.cells) if group.together else worker.begun + 1
    lost = [c for i, c in enumerate(group.cells[:end]) if i >= worker.begun and i not in worker.finished]
    # a record may be on the disk although the worker could not say so any more
    there = store.scan(c.spec.key for c in lost).records
    for cell in lost:
        old = there.get(cell.spec.key)
        if old is None or old.status is not Status.OK:
            store.write(failed_record(cell, status, message, setting, worker.since))
        reporter.cell(group)
    reporter.ended(group)
    if end < len(group.cells):
        queue.appendleft(Group(group.cells[end:]))


def _serve(pipe: Connection, setting: Setting, modules: tuple[str, ...]) -> None:
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
            while True:
                group = pipe.recv()
                run_group(group, setting, *_channel(pipe))
                pipe.send(("done", None))
        except Interrupted:
            return
        except NicaBenchError as error:
            pipe.send(("fatal", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _channel(pipe: Connection) -> tuple[Callable[[str, Any], None], Callable[[], bool]]:
    """What tells the parent how a group goes on, and what a fit asks whether to stop: the parent sends it a word.

    The first question of a fit is told to the parent, which then waits for the fit to stop.
    """
    told = False

    def send(kind: str, value: Any) -> None:
        nonlocal told
        told = told and kind != "begun"
        pipe.send((kind, value))

    def interrupted() -> bool:
        nonlocal told
        if not told:
            told = True
            pipe.send(("listens", None))
        return pipe.poll()

    return send, interrupted


def _end_with_parent() -> None:
    """End this process at once when its parent has ended: in the middle of a fit it would not notice for long."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
