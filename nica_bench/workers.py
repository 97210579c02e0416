"""Worker processes: each takes groups one after another; one that dies or hangs fails its own cells only."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from nica_bench.errors import NicaBenchError
from nica_bench.method import Progress
from nica_bench.plan import Group
from nica_bench.record import Status
from nica_bench.store import Store
from nica_bench.work import Setting, failed_record, run_group

__all__ = ["run_groups"]

LEAVE_SECONDS = 5.0
"""How long a worker that has nothing left to do may take to end."""


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    group: Group | None = None
    begun: int = 0
    since: float = field(default_factory=time.time)
    gone: bool = False


def _serve(pipe: Connection, setting: Setting, modules: tuple[str, ...]) -> None:
    """A worker's life: groups in, progress out; it ends when its parent is gone."""
    from pathlib import Path

    from nica_bench.registry import load_method_file

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for path in modules:
        load_method_file(Path(path))
    pipe.send(("ready", None))
    try:
        while True:
            group = pipe.recv()
            try:
                run_group(
                    group, setting, lambda i: pipe.send(("begun", i)), lambda progress: pipe.send(("step", progress))
                )
            except NicaBenchError as error:
                pipe.send(("fatal", str(error)))
                return
            pipe.send(("done", None))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _start(setting: Setting, modules: tuple[str, ...]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, setting, modules), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def run_groups(
    groups: Sequence[Group],
    setting: Setting,
    jobs: int,
    timeout: float | None,
    modules: tuple[str, ...],
    report: Callable[[Group, Progress | None], None],
) -> None:
    """Run groups on worker processes and return when each of their cells has a record.

    Args:
        groups: what to run, in this order.
        setting: of the run.
        jobs: most workers at once.
        timeout: most seconds a cell; cells that train together have their sum.
        modules: method files that a worker loads first.
        report: takes a group's progress, None when it has ended.

    Raises:
        NicaBenchError: if records can't be written any more; what is finished is kept.
    """
    store = Store.open(setting.out)
    queue = deque(groups)
    # as many threads as a worker uses: set before it imports its numerical libraries
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    workers = [_start(setting, modules) for _ in range(min(jobs, len(groups)))]
    try:
        while queue or any(w.group for w in workers):
            ready = wait([w.pipe for w in workers], timeout=0.5)
            for i, worker in enumerate(workers):
                if worker.pipe in ready:
                    _listen(worker, queue, report)
                if worker.group is None:
                    if worker.gone and queue:
                        workers[i] = _start(setting, modules)
                    continue
                limit = timeout and timeout * (len(worker.group.cells) if _together(worker.group) else 1)
                status = message = None
                if worker.gone:
                    code = worker.process.exitcode or 0
                    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                    status, message = Status.KILLED, f"the worker process ended: {name}"
                elif limit and time.time() - worker.since > limit:
                    worker.process.kill()
                    status, message = Status.TIMEOUT, f"took longer than the limit of {timeout:g} s a cell"
                if status is not None and message is not None:
                    _give_up(worker, status, message, store, setting, queue)
                    report(worker.group, None)
                    worker.pipe.close()
                    workers[i] = _start(setting, modules)
        for worker in workers:  # a worker whose pipe is closed ends by itself
            worker.pipe.close()
        for worker in workers:
            worker.process.join(LEAVE_SECONDS)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()


def _together(group: Group) -> bool:
    return group.cells[0].method.replicated


def _listen(worker: _Worker, queue: deque[Group], report: Callable[[Group, Progress | None], None]) -> None:
    try:
        while worker.pipe.poll():
            kind, value = worker.pipe.recv()
            if kind == "fatal":
                raise NicaBenchError(value)
            if kind == "begun":
                worker.begun, worker.since = value, time.time()
            elif kind == "step" and worker.group:
                report(worker.group, value)
            elif kind in ("ready", "done"):
                if worker.group:
                    report(worker.group, None)
                worker.group = queue.popleft() if queue else None
                worker.begun, worker.since = 0, time.time()
                if worker.group:
                    worker.pipe.send(worker.group)
    except (EOFError, ConnectionResetError, BrokenPipeError):
        worker.process.join(5)
        worker.gone = True


def _give_up(
    worker: _Worker, status: Status, message: str, store: Store, setting: Setting, queue: deque[Group]
) -> None:
    """A row for each cell that was being fitted; the cells behind it go to another worker."""
    group = worker.group
    assert group is not None
    end = len(group.cells) if _together(group) else worker.begun + 1
    there = store.scan().records
    for cell in group.cells[worker.begun : end]:
        old: Any = there.get(cell.spec.key)
        if old is None or old.status is not Status.OK:
            store.write(failed_record(cell, status, message, setting, worker.since))
    if end < len(group.cells):
        queue.appendleft(Group(group.cells[end:]))
