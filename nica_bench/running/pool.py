"""Groups of runs on worker processes; if a worker ends or hangs, only its own runs fail."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait

from nica_bench.errors import NicaBenchError
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.running.machine import memory_kills, usable_cores
from nica_bench.running.plan import Group
from nica_bench.running.reporter import Reporter
from nica_bench.running.work import Setting, failed_record
from nica_bench.running.worker import Worker, held_back, start_worker

__all__ = ["Crew", "run_groups"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GRACE = 10.0
"""The number of seconds in which interrupted fits may save their state."""
_FAILED_STARTS = 3
"""The number of workers in a row that may end before they are ready; the run is then aborted."""


class Crew:
    """The workers of a run, which a signal handler can interrupt."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []

    def interrupt(self, grace: float = _GRACE) -> None:
        """Let fits save their state if they can, and wait for them. A signal handler may call this.

        Args:
            grace: the longest time to wait in seconds.
        """
        asked = [w for w in self.workers if w.group is not None and not w.gone]
        for worker in asked:
            worker.flags.stop = True
        end = time.monotonic() + grace
        while any(w.flags.listens and w.process.is_alive() for w in asked) and time.monotonic() < end:
            time.sleep(0.02)


def run_groups(
    groups: Sequence[Group],
    setting: Setting,
    jobs: int,
    timeout: float | None,
    modules: tuple[str, ...],
    reporter: Reporter,
    crew: Crew | None = None,
) -> None:
    """Run groups on worker processes and return when each of their runs has a record.

    Args:
        groups: the groups, in the order in which they are started.
        setting: the setting of the run.
        jobs: the largest number of workers.
        timeout: the time limit per run in seconds; runs that train together have the sum of their limits.
        modules: files of methods and scenarios that a worker loads first.
        reporter: it receives the progress of the groups.
        crew: it receives the workers.

    Raises:
        NicaBenchError: if records cannot be written or workers cannot be started; finished runs are kept.
    """
    store = Store.open(setting.out)
    queue = deque(groups)
    # the number of threads of a worker must be set before it imports its numerical libraries
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    setting = replace(setting, threads=max(1, usable_cores() // max(1, min(jobs, len(groups)))))
    if setting.threads > 1:
        # threads that wait actively would slow down other processes of the machine
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    crew = crew or Crew()
    workers = crew.workers
    failed_starts = 0
    try:
        workers += [start_worker(setting, modules) for _ in range(min(jobs, len(groups)))]
        while queue or any(w.group for w in workers):
            heard = wait([end for w in workers for end in (w.pipe, w.process.sentinel)], timeout=0.5)
            for worker in list(workers):
                if worker.pipe in heard or worker.process.sentinel in heard:
                    _listen(worker, queue, setting, reporter)
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
                        workers.append(start_worker(setting, modules))
        for worker in workers:
            worker.pipe.close()  # ends the worker
        for worker in workers:
            worker.process.join(5)
    finally:
        # after a second Ctrl-C no worker may remain, since this process would wait for it
        with held_back(signal.SIGINT, signal.SIGTERM):
            crew.interrupt()
            for worker in workers:
                worker.process.kill()
            for worker in workers:
                worker.process.join()
            workers.clear()


def _listen(worker: Worker, queue: deque[Group], setting: Setting, reporter: Reporter) -> None:
    """Handle the messages of a worker, and send it a group if it has none."""
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
                    worker.send(worker.group, setting)
                    reporter.begun(worker.group)
            elif worker.group is not None:
                if kind == "unread":
                    worker.unread = value
                elif kind == "begun":
                    worker.begun, worker.since = value, time.time()
                elif kind == "step":
                    reporter.step(worker.group, value)
                elif kind == "run":
                    worker.finished.add(value)
                    reporter.run(worker.group)
        # a child process of the method may keep the pipe open after the end of the worker
        worker.gone = not worker.process.is_alive()
    except (EOFError, OSError):
        worker.process.join(5)
        worker.gone = True


def _trouble(worker: Worker, timeout: float | None) -> tuple[Status | None, str]:
    """Return the status and message with which a worker's group fails, if it does; kill it beyond its time limit."""
    group = worker.group
    if group is None:
        return None, ""
    if worker.unread:
        worker.process.join(5)
        worker.gone = True
        return Status.ERROR, worker.unread
    if worker.gone:
        if worker.process.exitcode == -signal.SIGKILL and memory_kills() > worker.kills:
            return Status.OOM, "the kernel ended the worker process: out of memory"
        return Status.KILLED, f"the worker process ended: {worker.ending()}"
    if timeout is not None and time.time() - worker.since > timeout * (len(group.runs) if group.together else 1):
        worker.process.kill()
        worker.process.join()
        worker.gone = True
        return Status.TIMEOUT, f"took longer than the limit of {timeout:g} s per run"
    return None, ""


def _give_up(
    worker: Worker,
    status: Status,
    message: str,
    store: Store,
    setting: Setting,
    queue: deque[Group],
    reporter: Reporter,
) -> None:
    """Write a failed record for each run that was being fitted; runs that had not begun go to another worker."""
    group = worker.group
    assert group is not None
    worker.group = None
    end = len(group.runs) if group.together or worker.unread else worker.begun + 1
    lost = [c for i, c in enumerate(group.runs[:end]) if i >= worker.begun and i not in worker.finished]
    # a record may be on the disk although the worker ended before it sent a message
    there = store.scan(c.spec.key for c in lost).records
    for run in lost:
        old = there.get(run.spec.key)
        if old is None or old.status is not Status.OK:
            store.write(failed_record(run, status, message, setting, worker.since))
        reporter.run(group)
    reporter.ended(group)
    if end < len(group.runs):
        queue.appendleft(Group(group.runs[end:]))
