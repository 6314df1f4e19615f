# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SIGTERM, by which containers and schedulers stop a command: it ends as after Ctrl+C, with its own status."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TERMINATED = 143  # 128 + SIGTERM, as shells and medsam-npz have it


@dataclass
class Termination:
    """Whether SIGTERM has come."""

    came: bool = False


@contextmanager
def interrupted_by_sigterm() -> Iterator[Termination]:
    """KeyboardInterrupt is raised when SIGTERM comes, so that whatever cleans up after Ctrl+C cleans up after it, too.

    A handler that the process has already, or that it ignores the signal, stays in force; so does everything in threads
    other than the main one, which get no signals.
    """
    termination = Termination()

    def interrupt(_number: int, _frame: object) -> None:
        termination.came = True
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield termination
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
