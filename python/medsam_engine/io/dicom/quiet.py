# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Keeps what the DICOM libraries log and warn of from the terminal, without touching the host's own logging."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("pydicom", "highdicom", "dicomweb_client", "retrying")


class _InThisThread(logging.Filter):
    """Drops the records of threads that are inside `quiet_dicom`, and of no other."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def filter(self, _record: logging.LogRecord) -> bool:
        return not getattr(self.local, "depth", 0)


class _SharedWarningFilter:
    """One `catch_warnings` for all threads that are inside: the first one enters it and the last one leaves it.

    The filters of `warnings` belong to the process. If each thread saved and restored them, one that leaves while
    another is inside would restore a state that the other had made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: warnings.catch_warnings[None] | None = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._saved is not None:
                self._saved.__exit__(None, None, None)
                self._saved = None


_FILTER = _InThisThread()
_WARNINGS = _SharedWarningFilter()


def _loggers() -> list[logging.Logger]:
    # A filter of a logger does not see the records of the loggers below it, and highdicom has one per module.
    names = [name for name in list(logging.root.manager.loggerDict) if name.partition(".")[0] in _LIBRARIES]
    return [logging.getLogger(name) for name in {*_LIBRARIES, *names}]


@contextmanager
def quiet_dicom() -> Iterator[None]:
    """Around calls of the DICOM libraries: what this thread makes them log is dropped, and warnings are ignored.

    pydicom and highdicom report odd but readable values in this way, and pydicom each decoder that it tries in turn;
    dicomweb-client repeats what a server says, which may name a patient. What matters of that is checked where it is
    used. Levels, handlers and propagation of the host's loggers stay as they are, and records that other threads cause
    pass. Python's warnings are one state for all threads: while a thread is inside, none are shown in any thread.

    Thread safety: any number of threads may be inside at once, and one may enter again.
    """
    for logger in _loggers():
        logger.addFilter(_FILTER)  # stays there; a second time it does nothing
    local = _FILTER.local
    local.depth = getattr(local, "depth", 0) + 1
    _WARNINGS.enter()
    try:
        yield
    finally:
        _WARNINGS.leave()
        local.depth -= 1
