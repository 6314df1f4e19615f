# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs a session's calls on a thread, one after the other; the viewer goes on meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from medsam_engine import Error


class WorkerQueue(QObject):
    """A Run (calls.py) over napari's thread_worker.

    Attributes:
        busy: emitted with True when a call begins and with False when none waits any more.
        progress: may be emitted on any thread, with steps done and in total; arrives on the viewer's.
    """

    busy = Signal(bool)
    progress = Signal(int, int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[tuple[Callable[[], Any], Callable[[Any], object], Callable[[Error], object]]] = deque()
        self._running = False

    def __call__(
        self, call: Callable[[], Any], done: Callable[[Any], object], failed: Callable[[Error], object]
    ) -> None:
        """Queues a call. What it raises beside the package's errors is shown by napari."""
        self._waiting.append((call, done, failed))
        if not self._running:
            self._running = True
            self.busy.emit(True)
            self._next()

    def _next(self) -> None:
        if not self._waiting:
            self._running = False
            self.busy.emit(False)
            return
        call, done, failed = self._waiting.popleft()

        def answer() -> tuple[Any, Error | None]:
            try:
                return call(), None
            except Error as error:
                return None, error

        def returned(ended: tuple[Any, Error | None]) -> None:
            value, error = ended
            if error is None:
                done(value)
            else:
                failed(error)

        worker = create_worker(answer)
        worker.returned.connect(returned)
        worker.finished.connect(self._next)
        worker.start()
