# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The cases of a table one after the other; the next file is read while one is segmented."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from medsam_engine import Engine
from medsam_engine.base.error_text import error_text
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_end import CaseEnd
from medsam_engine.cohort.segment_case import ReadCase, RunOptions, read_case, segment_case, write_case
from medsam_engine.io.byte_limit import ByteLimit

# A larger file is read when it is its turn (as cpp/src/npz has it): memory holds one case, and at most this beside it.
_AHEAD_BYTES = 256 << 20


class RunWatch(Protocol):
    """Whom a run tells what it does."""

    def note(self, text: str) -> None:
        """Something to know of a case."""

    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None:
        """How many steps of a case are done, of how many (0 of 0 when it begins)."""

    def finished(self, end: CaseEnd) -> None:
        """A case has ended."""


class CaseRun:
    """One run over a table's cases. Make it, call `run` once."""

    def __init__(self, cases: Sequence[CaseFiles], engine: Engine, options: RunOptions, watch: RunWatch) -> None:
        self._cases, self._engine, self._options, self._watch = cases, engine, options, watch
        self._most = ByteLimit.of(options.max_bytes).max_bytes
        self._reader = ThreadPoolExecutor(max_workers=1)
        # The libraries behind DICOM files set Python's warnings, which all threads share: they read or write, one at a
        # time. Nothing is lost: the next case cannot begin before it is read.
        self._files = threading.Lock()

    def run(self) -> int:
        """Does all cases; returns how many failed. KeyboardInterrupt: the case at work is dropped."""
        failed = 0
        ahead: Future[ReadCase] | None = None
        try:
            for index in range(len(self._cases)):
                end, ahead = self._one(index, ahead)
                failed += end.status == "failed"
                self._watch.finished(end)
        finally:
            self._reader.shutdown(wait=False, cancel_futures=True)
        return failed

    def _one(self, index: int, ahead: "Future[ReadCase] | None") -> "tuple[CaseEnd, Future[ReadCase] | None]":
        started = time.perf_counter()
        files = self._cases[index]
        end = CaseEnd(files.case.file, files.answer, objects=len(files.case.objects))
        self._watch.progress(index, len(self._cases), files.case.file, 0, 0)
        following = None
        try:
            read = self._read(index, ahead)
            end.read_s = read.seconds
            following = self._begin_reading(index + 1, min(self._most, _AHEAD_BYTES))
            self._finish(index, read, end)
        except Exception as error:  # of one case: it is told, and the rest go on
            end.status, end.message = "failed", error_text(error)
        if following is None:  # the next one need not suffer for this one
            following = self._begin_reading(index + 1, min(self._most, _AHEAD_BYTES))
        end.total_s = time.perf_counter() - started
        return end, following

    def _read(self, index: int, ahead: "Future[ReadCase] | None") -> ReadCase:
        if ahead is not None:
            try:
                return ahead.result()
            except Exception:  # too large to be read ahead, or wrong: its turn will tell
                pass
        again = self._begin_reading(index, self._most)
        assert again is not None
        return again.result()

    def _begin_reading(self, index: int, max_bytes: int) -> "Future[ReadCase] | None":
        if index >= len(self._cases):
            return None
        return self._reader.submit(self._read_now, self._cases[index], max_bytes)

    def _read_now(self, files: CaseFiles, max_bytes: int) -> ReadCase:
        # Links in the folder of the answers may lead to the file of another case.
        written = {"the answer": files.answer, "its record": files.record, "its preview": files.preview}
        for option, path in written.items():
            if path is not None:
                self._options.read.check(option, path)
        with self._files:
            return read_case(files.case, files.answer, self._options, max_bytes)

    def _finish(self, index: int, read: ReadCase, end: CaseEnd) -> None:
        files = self._cases[index]
        if read.finished is not None:
            end.status, end.measured = "skipped", read.finished
            return
        for note in read.notes:
            self._watch.note(f"{files.case.file}: {note}")
        started = time.perf_counter()
        count = len(self._cases)
        found = segment_case(
            self._engine, read, lambda done, total: self._watch.progress(index, count, files.case.file, done, total)
        )
        end.segment_s = time.perf_counter() - started
        end.slices = len(found.labels) if found.labels.ndim == 3 else 1
        started = time.perf_counter()
        with self._files:
            end.measured = write_case(files.case, files.answer, files.preview, read, found, end.segment_s)
        end.write_s = time.perf_counter() - started
        end.empty_objects = sum(measured.voxels == 0 for measured in end.measured)
        end.status = "done"
