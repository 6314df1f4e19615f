# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A run in a process of its own, watched by its parent: a case that ends the process does not end the run.

The parent is the command before any model was loaded, and does nothing but wait for its copy (fork). The run tells it
which cases it has begun and how they ended. When the process ends otherwise than by saying so, the cases that were at
work have a try less, and a new process goes on; a case above its limit of time or memory is ended with its process.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.cohort.forwarded_signals import ForwardedSignals
from medsam_engine.errors import Unsupported

_WATCH_S = 0.2  # between two looks at the memory
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of prctl(2)
_STARTS_WITHOUT_A_CASE = 2


@dataclass(frozen=True)
class CaseLimits:
    """What a case may take; None = anything.

    Attributes:
        seconds: from its turn to its record.
        resident_bytes: of the process that does it, the engine included.
    """

    seconds: float | None = None
    resident_bytes: int | None = None


@dataclass
class RunReports:
    """What the process of a run knows of earlier ones and tells its parent. Thread-safe.

    Attributes:
        earlier: how cases ended in earlier processes of this run, in order.
        tried: cases that were at work in earlier ones when these ended.
        alone: those of them to be run alone, since one of them has ended a process.
        blamed: how often, of each of these.
        news: how cases ended that an earlier process could not tell of, and notes on others.
    """

    earlier: list[CaseResult] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    alone: set[str] = field(default_factory=set)
    blamed: Counter[str] = field(default_factory=Counter)
    news: list[CaseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pipe: BinaryIO | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begun(self, name: str) -> None:
        """The image of a case is about to be read."""
        self._tell({"begun": name})

    def turn(self, name: str) -> None:
        """A case has its turn: its time counts from now."""
        self._tell({"turn": name})

    def ended(self, end: CaseResult) -> None:
        """A case has ended."""
        self._tell({"ended": end.content()})

    def over(self) -> None:
        """The run has come to its end, well or not: the process ends by itself."""
        self._tell({"over": True})

    def _tell(self, line: Mapping[str, Any]) -> None:
        if self.pipe is not None:
            with self._lock:
                self.pipe.write(json.dumps(line).encode("ascii") + b"\n")
                self.pipe.flush()


@dataclass
class _Seen:
    """What the parent has been told by one process."""

    begun: list[str] = field(default_factory=list)
    turn: dict[str, float] = field(default_factory=dict)
    over: bool = False
    exceeded: tuple[str, str] | None = None  # the case that is above a limit, and the reason

    @property
    def at_work(self) -> list[str]:
        """Cases that may have ended the process: begun, or at their turn and still fetched or compared."""
        return [*self.begun, *(name for name in self.turn if name not in self.begun)]


def can_supervise() -> bool:
    """Whether this system can copy a process (fork), which Windows cannot."""
    return hasattr(os, "fork")


def check_limits(limits: CaseLimits) -> None:
    """Unsupported: a case has a limit where nobody can watch the process that does it."""
    if limits != CaseLimits() and not can_supervise():
        raise Unsupported(
            "--case-timeout, --case-memory: got a limit on a system without fork (Windows), where no process watches "
            "another, expected none; leave it out"
        )


def supervised(
    limits: CaseLimits, crashed: Callable[[str, str, int], CaseResult | None], let_go: Callable[[str], object]
) -> RunReports | int:
    """Goes on in a new process, and returns there what it is to report to; in the parent, the exit status of the run.

    Call it before an engine is loaded and before threads are started, from the main thread.

    Args:
        limits: of each case.
        crashed: called in the parent with a case that has ended its process, the reason, and how often it has done so
            in this run; returns its result when it is not to be tried again, and must some time.
        let_go: called in the parent with each case that was at work beside one above its limit.
    """
    known = RunReports()
    idle = 0
    while True:
        seen = _Seen()
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        forward = ForwardedSignals()
        temporary = _own_temporary_folder()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which NumPy's library has and handles
            child = os.fork()
        if child == 0:
            os.close(reading)
            _die_with(parent)
            forward.in_child()
            if temporary is not None:
                tempfile.tempdir = temporary  # of all that is fetched, and of the libraries
            known.pipe = os.fdopen(writing, "wb")
            return known
        os.close(writing)
        known.news.clear()
        known.notes.clear()
        forward.to(child)
        try:
            status = _watch(child, reading, limits, seen, known)
        finally:
            forward.restore()
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
        if seen.over or forward.asked:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        idle = 0 if seen.at_work else idle + 1
        if idle == _STARTS_WITHOUT_A_CASE:
            return _status_of(status)
        _blame(seen, _reason(status), known, crashed, let_go)


def _own_temporary_folder() -> str | None:
    """A new folder for one process, which its parent removes: one that is killed leaves no image of a patient there."""
    try:
        return tempfile.mkdtemp(prefix="medsam-run.")
    except OSError:
        return None  # nowhere to write: told by what needs to, if anything does


def _blame(
    seen: _Seen,
    reason: str,
    known: RunReports,
    crashed: Callable[[str, str, int], CaseResult | None],
    let_go: Callable[[str], object],
) -> None:
    at_work = seen.at_work
    known.tried.update(at_work)
    for name in at_work:
        if seen.exceeded is not None and name != seen.exceeded[0]:
            let_go(name)
            continue
        why = seen.exceeded[1] if seen.exceeded is not None else reason
        known.blamed[name] += 1
        end = crashed(name, why, known.blamed[name])
        known.alone.add(name)
        if end is not None:
            known.news.append(end)
        else:
            known.notes.append(f"{name}: {why}; it is tried again")


def _watch(child: int, reading: int, limits: CaseLimits, seen: _Seen, known: RunReports) -> int:
    """Takes what a process tells until it has ended; returns how."""
    rest = b""
    while True:
        ready, _, _ = select.select([reading], [], [], _patience(limits, seen))
        if ready:
            part = os.read(reading, 1 << 16)
            if not part:
                os.close(reading)
                return os.waitpid(child, 0)[1]
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                _take(json.loads(line), seen, known)
        if seen.exceeded is None:
            seen.exceeded = _exceeded(child, limits, seen)
            if seen.exceeded is not None:
                os.kill(child, signal.SIGKILL)


def _take(line: Mapping[str, Any], seen: _Seen, known: RunReports) -> None:
    if "begun" in line and line["begun"] not in seen.begun:
        seen.begun.append(line["begun"])
    elif "turn" in line:
        seen.turn[line["turn"]] = time.monotonic()
    elif "ended" in line:
        end = CaseResult.from_content(line["ended"])
        known.earlier.append(end)
        seen.turn.pop(end.name, None)
        if end.name in seen.begun:
            seen.begun.remove(end.name)
    elif "over" in line:
        seen.over = True


def _patience(limits: CaseLimits, seen: _Seen) -> float | None:
    if limits.resident_bytes is not None:
        return _WATCH_S
    if limits.seconds is None or not seen.turn:
        return None
    return max(0.01, min(seen.turn.values()) + limits.seconds - time.monotonic())


def _exceeded(child: int, limits: CaseLimits, seen: _Seen) -> tuple[str, str] | None:
    if limits.seconds is not None:
        for name, since in seen.turn.items():
            if time.monotonic() - since > limits.seconds:
                return name, f"took more than {limits.seconds:g} s (--case-timeout)"
    if limits.resident_bytes is not None and seen.turn:
        used = _resident(child)
        if used > limits.resident_bytes:
            name = max(seen.turn, key=lambda case: seen.turn[case])
            return name, f"took {used} bytes of memory, expected at most {limits.resident_bytes} (--case-memory)"
    return None


def _resident(process: int) -> int:
    """Bytes of memory that a process has now; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _reason(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "no name"
        killed = "; it may have run out of memory" if number == signal.SIGKILL else ""
        return f"the process ended by signal {number} ({name}){killed}"
    return f"the process ended with status {os.WEXITSTATUS(status)}"


def _status_of(status: int) -> int:
    return os.WEXITSTATUS(status) or 1 if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _die_with(parent: int) -> None:
    """The run ends with its parent, even if that is killed: nobody would watch it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
