# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Signals that ask a run in two processes to end: the parent passes them on, and the child ends in order."""

from __future__ import annotations

import os
import signal
from typing import Any


class ForwardedSignals:
    """SIGINT and SIGTERM of the parent, each passed on once: a terminal sends SIGINT to both, which counts as one.

    Make it in the main thread before the fork; the parent calls `to` and `restore`, the child `in_child`.

    Attributes:
        asked: whether a signal has come.
    """

    def __init__(self) -> None:
        """From here on, signals are kept for the child."""
        self.asked = False
        self._child: int | None = None
        self._pending: list[int] = []
        self._count = 0
        # A signal for the child waits until it can take it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
        self._before = {number: signal.signal(number, self.take) for number in (signal.SIGINT, signal.SIGTERM)}

    def take(self, number: int, _frame: object) -> None:
        """The handler in the parent."""
        self.asked, self._count = True, self._count + 1
        passed = signal.SIGUSR1 if number == signal.SIGINT else signal.SIGTERM
        if self._child is None:
            self._pending.append(passed)
        elif self._count <= 1:
            os.kill(self._child, passed)
        elif self._count > 2:  # somebody insists
            os.kill(self._child, signal.SIGKILL)

    def to(self, child: int) -> None:
        """The child is there: what has come and what comes is passed on to it."""
        self._child = child
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1, signal.SIGTERM})
        for number in self._pending[:1]:
            os.kill(child, number)

    def in_child(self) -> None:
        """SIGINT comes from the parent as SIGUSR1; what comes later than the first is too much for what cleans up."""
        self.restore()
        on_term = self._before[signal.SIGTERM]
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        def once(number: int, frame: Any) -> None:
            for other in (signal.SIGUSR1, signal.SIGTERM):
                signal.signal(other, signal.SIG_IGN)
            if number == signal.SIGTERM and callable(on_term):
                on_term(number, frame)
            raise KeyboardInterrupt

        signal.signal(signal.SIGUSR1, once)
        signal.signal(signal.SIGTERM, once)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGINT})

    def restore(self) -> None:
        """The handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
