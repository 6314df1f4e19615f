# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The cases of a table one after the other: reading, segmenting and writing overlap."""

import time
from collections.abc import Container, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.answer_record import Refused
from medsam_engine.cohort.case_result import SKIPPED, CaseResult
from medsam_engine.cohort.segment_case import FinishedCase, ReadCase
from medsam_engine.cohort.worker import CaseWorker, Quarantined, fail, skip, slices_of
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.show.found_objects import FoundObjects

# A larger file is read when it is its turn (as cpp/src/npz has it): memory holds one case, and at most this beside it.
_AHEAD_BYTES = 256 << 20
# A case that the reading thread is at.
_Ahead = Future[ReadCase | FinishedCase]


class RunWatch(Protocol):
    """Whom a run tells what it does; it is called in the thread of the run."""

    def note(self, text: str) -> None:
        """Something to know of a case."""

    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None:
        """How many steps of a case are done, of how many (0 of 0 when it begins)."""

    def finished(self, end: CaseResult) -> None:
        """A case has ended."""


class _All:
    """Holds every name."""

    def __contains__(self, _name: object) -> bool:
        return True


@dataclass
class _Writing:
    """A case whose answer is being written."""

    files: CaseFiles
    end: CaseResult
    started: float
    done: Future[None]


class CaseRun:
    """One run over a table's cases: while one is segmented, the next one is read and the last one written.

    Make it, call `run` once.
    """

    def __init__(
        self,
        cases: Sequence[CaseFiles],
        worker: CaseWorker,
        watch: RunWatch,
        *,
        alone: Container[str] = (),
        limit: int | None = None,
    ) -> None:
        """Makes a run.

        Args:
            cases: all of them.
            worker: that does them.
            watch: that is told.
            alone: names of cases beside which none is read or written.
            limit: after so many cases that were not skipped, the run ends; None = it does all.
        """
        self._cases, self._worker, self._watch = cases, worker, watch
        # With one try, a case must not be blamed for another one that is read beside it.
        self._alone = alone if worker.options.tries > 1 else _All()
        self._left = len(cases) if limit is None else limit
        self._most = ByteLimit.of(worker.options.max_bytes).max_bytes
        # One thread for each: what is at work holds at most one case that was read, one at work and one to be written.
        self._reader, self._writer = ThreadPoolExecutor(max_workers=1), ThreadPoolExecutor(max_workers=1)
        self._writing: _Writing | None = None
        self._failed = 0
        self._at = 0

    def run(self) -> int:
        """Does all cases; returns how many failed or were refused.

        KeyboardInterrupt: the case at work is dropped; one that is being written is finished and told first.
        """
        ahead: _Ahead | None = None
        try:
            for index in range(len(self._cases)):
                if self._left <= 0:
                    break
                ahead = self._one(index, ahead)
        finally:
            self._reader.shutdown(cancel_futures=True)  # what is being read is noted as begun, and is let go below
            self._wait_for_writing()
            self._writer.shutdown()
            self._worker.leave()
        return self._failed

    def _one(self, index: int, ahead: _Ahead | None) -> _Ahead | None:
        started = time.perf_counter()
        self._at = index
        files = self._cases[index]
        if files.case.file in self._alone:
            self._wait_for_writing()
        end = CaseResult(files.case.file, str(files.answer), objects=len(files.case.objects))
        self._watch.progress(index, len(self._cases), files.case.file, 0, 0)
        following: _Ahead | None = None
        segmented: tuple[ReadCase, FoundObjects] | None = None
        try:
            read = self._read(index, ahead)
            end.read_s = read.seconds
            following = self._begin_reading(index + 1, min(self._most, _AHEAD_BYTES))
            if isinstance(read, FinishedCase):
                skip(end, read)
            else:
                segmented = read, self._segment(index, read, end)
        except Exception as error:  # of one case: it is told, and the rest go on
            fail(end, error)
        if following is None:  # the next one need not suffer for this one
            following = self._begin_reading(index + 1, min(self._most, _AHEAD_BYTES))
        self._wait_for_writing()  # cases are told in their order
        self._left -= end.status != SKIPPED
        if segmented is None:
            self._tell(files, end, started)
        else:
            done = self._writer.submit(self._worker.write, files, *segmented, end)
            self._writing = _Writing(files, end, started, done)
            if segmented[0].input_bytes > _AHEAD_BYTES or end.name in self._alone:
                self._wait_for_writing()  # before the next one is read
        return following

    def _segment(self, index: int, read: ReadCase, end: CaseResult) -> FoundObjects:
        count = len(self._cases)
        for note in read.notes:
            self._watch.note(f"{end.name}: {note}")
        started = time.perf_counter()

        def progress(done: int, total: int) -> None:
            if self._writing is not None and self._writing.done.done():
                self._wait_for_writing()  # told as soon as it is there
            self._watch.progress(index, count, end.name, done, total)

        found = self._worker.segment(read, progress)
        end.segment_s, end.slices = time.perf_counter() - started, slices_of(found)
        return found

    def _wait_for_writing(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                writing.done.result()
            except Exception as error:  # of one case
                fail(writing.end, error)
            self._tell(writing.files, writing.end, writing.started)

    def _name(self, index: int) -> str:
        return self._cases[index].case.file

    def _tell(self, files: CaseFiles, end: CaseResult, started: float) -> None:
        end.total_s = time.perf_counter() - started
        self._worker.ended(files, end)
        self._failed += not end.whole
        self._watch.finished(end)

    def _read(self, index: int, ahead: _Ahead | None) -> ReadCase | FinishedCase:
        if ahead is not None:
            try:
                return self._awaited(ahead)
            except (Refused, Quarantined):
                raise
            except Exception:  # too large to be read ahead, or wrong: its turn will tell
                pass
        again = self._begin_reading(index, self._most)
        assert again is not None
        return self._awaited(again)

    def _awaited(self, reading: _Ahead) -> ReadCase | FinishedCase:
        if self._writing is not None:
            either: list[Future[Any]] = [reading, self._writing.done]
            wait(either, return_when=FIRST_COMPLETED)
            if self._writing.done.done():
                self._wait_for_writing()  # its time is over, however long the next one is read
        return reading.result()

    def _begin_reading(self, index: int, max_bytes: int) -> _Ahead | None:
        if index >= len(self._cases):
            return None
        if index != self._at and (self._left <= 1 or any(self._name(k) in self._alone for k in (index, self._at))):
            return None  # in its turn
        return self._reader.submit(self._worker.read, self._cases[index], max_bytes)
