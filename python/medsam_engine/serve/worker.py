# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The one thread that computes, so that the event loop answers heartbeats while a prediction has all cores."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from medsam_engine.errors import Unsupported

P = ParamSpec("P")
R = TypeVar("R")


class WorkerClosed(Unsupported):
    """The server is ending and takes no more work."""


class Worker:
    """Calls functions one at a time on a thread of its own, fairly between those who ask.

    The jobs of one key run in the order in which they came. Between keys, it is one job each in turn, so that a client
    who asks for much delays another by one job at most. All methods may be called from any thread.

    Args:
        observe: called on the worker's thread after each job, with the seconds that it waited and that it ran.
    """

    def __init__(self, observe: Callable[[float, float], None] | None = None) -> None:
        self._observe = observe
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, deque[tuple[float, Callable[[], Any], Future[Any]]]] = OrderedDict()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="medsam-engine-worker", daemon=True)
        self._thread.start()

    def submit(self, key: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queues a call. The future has its result or exception; cancel() takes a job back that has not begun.

        Raises:
            WorkerClosed: after close().
        """
        future: Future[R] = Future()
        with self._changed:
            if self._closed:
                raise WorkerClosed("server: got a request, expected none; the server is ending")
            jobs = self._waiting.setdefault(key, deque())
            jobs.append((time.monotonic(), lambda: function(*args, **kwargs), future))
            self._changed.notify()
        return future

    async def run(self, key: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Waits for the result of a call without holding up the event loop.

        If the task that waits is cancelled, a job that has not begun is dropped; one that runs is finished.
        """
        return await asyncio.wrap_future(self.submit(key, function, *args, **kwargs))

    @property
    def waiting(self) -> int:
        """The number of jobs that have not begun."""
        with self._changed:
            return sum(len(jobs) for jobs in self._waiting.values())

    def close(self) -> None:
        """Takes no more jobs, does those that it has, and returns when the last is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _next(self) -> tuple[float, Callable[[], Any], Future[Any]] | None:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            key, jobs = next(iter(self._waiting.items()))
            job = jobs.popleft()
            if jobs:
                self._waiting.move_to_end(key)
            else:
                del self._waiting[key]
            return job

    def _work(self) -> None:
        while (job := self._next()) is not None:
            asked, function, future = job
            if not future.set_running_or_notify_cancel():
                continue
            started = time.monotonic()
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            del job, function, future  # an image is not kept until the next job comes
            if self._observe is not None:
                self._observe(started - asked, time.monotonic() - started)
