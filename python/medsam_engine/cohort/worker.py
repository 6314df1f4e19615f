# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One worker: an engine that is loaded once, and the steps of a case. What every scheduler calls.

    worker = CaseWorker(RunOptions("answers"))
    for case in read_cases("cases.csv").cases:
        result = worker(case)

The local run, a Ray actor, a Dask worker and a task of a SLURM array all do this. Results do not depend on which worker
does a case, nor on the order; two workers that do the same case write the same files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from typing import Any

from medsam_engine import Engine, simd_target
from medsam_engine.base.addresses import is_url
from medsam_engine.base.error_text import error_text
from medsam_engine.base.output_check import ReadFiles
from medsam_engine.cohort.answer_paths import CaseFiles, files_of
from medsam_engine.cohort.answer_record import Refused
from medsam_engine.cohort.case_input import CaseInput, case_input, finished_objects, finished_remotely
from medsam_engine.cohort.case_result import DONE, FAILED, PENDING, REFUSED, SKIPPED, CaseResult
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.ledger import Ledger
from medsam_engine.cohort.reproducible import check_reproducible, kernels_note
from medsam_engine.cohort.run_engine import decides_on_masks, load_engine
from medsam_engine.cohort.run_inputs import check_files, check_folders
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.segment_case import FinishedCase, ReadCase, read_case, segment_case, write_case
from medsam_engine.cohort.staging import Staging
from medsam_engine.errors import InvalidArgument
from medsam_engine.show.found_objects import FoundObjects

# The libraries behind DICOM files set Python's warnings, which all threads share: they read or write, one at a time.
_FILES = threading.Lock()


class Quarantined(InvalidArgument):
    """A case has failed or ended its process so often that it is not tried again."""


class CaseWorker:
    """Does cases, one after the other, with one engine, which it loads when the first case asks for it.

    It can be pickled: the copy loads an engine of its own. Not thread-safe but for `read`, which may run in a thread
    while another case is segmented. After fork, in the child of a process that has had an engine, every case fails, as
    Engine does (use "spawn").
    """

    def __init__(
        self,
        options: RunOptions,
        engine: Engine | None = None,
        read: ReadFiles | None = None,
        *,
        begun: Callable[[str], object] | None = None,
        tried: Container[str] = (),
    ) -> None:
        """Makes a worker; the engine is loaded later.

        Args:
            options: of the run.
            engine: one that is loaded already.
            read: the files of all cases, if they are known, which no answer may be.
            begun: called with the name of each case before its image is read, perhaps in another thread.
            tried: names of cases that this run has tried in an earlier process; `retry_failed` is not for them.

        Raises:
            InvalidArgument: options that do not go together, or `engine` is not in f32, which `reproducible` asks for.
            Unsupported: `reproducible` is asked for with an `engine`, and this process runs on other kernels.
        """
        options.check()
        if engine is not None and options.reproducible:
            check_reproducible(engine.info)
        self.options = options
        self._engine, self._read, self._told, self._tried = engine, read, begun, tried
        self._staging = Staging(options)
        self._begun: dict[str, Path] = {}  # the records of cases that are at work, by name
        self._model: dict[str, str] | None = None
        self._loading = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """The options alone: an engine cannot be sent anywhere."""
        return {"options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As __init__."""
        self.__init__(state["options"])  # type: ignore[misc]  # the same as a new one

    @property
    def engine(self) -> Engine:
        """The engine, loaded on the first use. Raises as Engine."""
        return self.load()

    def load(self) -> Engine:
        """Loads the engine, unless it is loaded. Raises as Engine."""
        with self._loading:
            if self._engine is None:
                self._engine = load_engine(self.options)
            return self._engine

    @property
    def notes(self) -> list[str]:
        """What there is to know of the engine before its answers are used. Raises as Engine."""
        unpinned = kernels_note(self.engine.info) if self.options.reproducible else ""
        return [f"note: {unpinned}"] if unpinned else []

    def files(self, case: CaseSpec) -> CaseFiles:
        """Where the answer of a case goes; of a folder that is a URL, where it lies until it is sent there."""
        options = self.options
        previews = None if options.previews is None else Path(options.previews)
        return files_of(case, self._staging.answers, options.output_format, previews, options.template)

    def read(self, files: CaseFiles, max_bytes: int | None = None) -> ReadCase | FinishedCase:
        """Reads the image of a case, unless its answer is there.

        Raises:
            Refused: another answer is there.
            Quarantined: the case has failed so often that it is not tried again.
            Error: whatever is wrong with the case.
        """
        started = time.perf_counter()
        self._check_places(files)
        state = self._staging.look(files)
        finished = finished_remotely(files, self.options, self.decides_on_masks, state)
        if finished is not None:
            return FinishedCase(finished, time.perf_counter() - started)
        local = self._staging.fetch(files)
        with _FILES:
            read = read_case(
                local,
                self.options,
                self.decides_on_masks,
                max_bytes or self.options.max_bytes,
                lambda found: self._begin(files, found),
                self._read,
            )
        return replace(read, state=state) if isinstance(read, ReadCase) else read

    def plan(self, files: CaseFiles) -> CaseResult:
        """What would become of a case, without reading its image: status pending where it is to be done."""
        end = CaseResult(files.case.file, self.place(files), PENDING, len(files.case.objects))
        try:
            state = self._staging.look(files)
            if is_url(files.case.path):
                finished = finished_remotely(files, self.options, self.decides_on_masks, state)
            else:
                found = case_input(files, self.options, self.decides_on_masks)
                finished = finished_objects(files, found, self.options)
                if finished is None:
                    self._check_standing(files, self._key(files, found))
            if finished is not None:
                end.status, end.measured = SKIPPED, finished
        except Exception as error:  # of one case
            fail(end, error)
        return end

    def _check_places(self, files: CaseFiles) -> None:
        if self._read is None:
            check_folders(self.options, [files.case])
        else:
            check_files(self._read, files)

    def _begin(self, files: CaseFiles, found: CaseInput) -> None:
        case = files.case.file
        if case not in self._begun:
            self._check_standing(files, self._key(files, found))
            if self.options.retry_failed and case not in self._tried:
                self.ledger.clear(files.record)
            self.ledger.begin(files.record, case, self._key(files, found))
            self._begun[case] = files.record
        if self._told is not None:
            self._told(case)

    def _key(self, files: CaseFiles, found: CaseInput, /) -> str:
        fetched = any(is_url(place) for place in (files.case.path, files.case.boxes_from or ""))
        return found.key(fetched=fetched)

    def _check_standing(self, files: CaseFiles, key: str) -> None:
        earlier = self.ledger.standing(files.record)
        if earlier is None or earlier.key != key or not earlier.quarantined(self.options.tries):
            return
        if self.options.retry_failed and files.case.file not in self._tried:
            return
        raise Quarantined(
            f"quarantined after {earlier.failed + earlier.killed} tries: {earlier.error or 'killed while at work'}; "
            "--retry-failed tries it again"
        )

    def place(self, files: CaseFiles) -> str:
        """Where the answer of a case ends up, a path or a URL."""
        return self._staging.place(files.answer)

    @property
    def ledger(self) -> Ledger:
        """What became of the cases that did not end well."""
        return self._staging.ledger

    def ended(self, files: CaseFiles, end: CaseResult) -> None:
        """Writes down how a case has ended: called once for each, last."""
        end.answer = self.place(files)
        end.message = self._staging.told(end.message)
        self._staging.release(files)
        if files.case.file not in self._begun:
            if end.status == SKIPPED and self.ledger.begun_before:
                self.ledger.clear(files.record)  # a run that was killed after the record was there
            return
        del self._begun[files.case.file]
        if end.status == FAILED:
            now = self.ledger.fail(files.record, files.case.file, end.message)
            end.quarantined = now.quarantined(self.options.tries)
        else:
            self.ledger.clear(files.record)

    def segment(self, read: ReadCase, progress: Callable[[int, int], object] | None = None) -> FoundObjects:
        """The objects of a case that was read; `progress` gets slices done and in all."""
        return segment_case(self.engine, read, progress or (lambda _done, _total: None))

    def write(self, files: CaseFiles, read: ReadCase, found: FoundObjects, end: CaseResult) -> None:
        """Writes the answer and its record, and says so in `end`. Raises Error: it cannot be written."""
        started = time.perf_counter()
        with _FILES:
            end.measured = write_case(files, read, found, self.options, self._about(read, end))
        self._staging.send(files)
        end.write_s = time.perf_counter() - started
        end.empty_objects = sum(measured.voxels == 0 for measured in end.measured)
        end.status = DONE

    def __call__(self, case: CaseSpec) -> CaseResult:
        """Does one case, from its files to its record; whatever is wrong with the case is in the result.

        Raises:
            Error: the engine cannot be loaded.
        """
        self.load()  # its fault is none of the case's
        started = time.perf_counter()
        end = CaseResult(case.file, "", objects=len(case.objects))
        try:
            files = self.files(case)
        except Exception as error:  # of one case
            fail(end, error)
            return end
        try:
            read = self.read(files)
            end.read_s = read.seconds
            if isinstance(read, FinishedCase):
                skip(end, read)
            else:
                begun = time.perf_counter()
                found = self.segment(read)
                end.segment_s, end.slices = time.perf_counter() - begun, slices_of(found)
                self.write(files, read, found, end)
        except Exception as error:  # of one case
            fail(end, error)
        self.ended(files, end)
        end.total_s = time.perf_counter() - started
        return end

    def leave(self) -> None:
        """Says of cases that were begun and not ended that they were let go; the run ends."""
        for record in self._begun.values():
            self.ledger.leave(record)
        self._begun.clear()

    @property
    def decides_on_masks(self) -> dict[str, str]:
        """As the function, of this worker's engine."""
        if self._model is None:
            self._model = decides_on_masks(self.engine.info, self.options.reproducible)
        return self._model

    def _about(self, read: ReadCase, end: CaseResult) -> dict[str, Any]:
        """On what and how an answer was made: to be known of it, but it makes no other answer of it."""
        about = self.engine.info
        return {
            "ran": {
                "kernels": simd_target(),
                "encoder": about.encoder_backend,
                "decoder": about.decoder_backend,
                "threads": about.threads,
            },
            "seconds": {"read": round(read.seconds, 3), "segment": round(end.segment_s, 3)},
            "notes": [*read.notes, *self.notes],
        }


def skip(end: CaseResult, read: FinishedCase) -> None:
    """Notes in `end` that the answer was there."""
    end.status, end.measured = SKIPPED, read.objects


def slices_of(found: FoundObjects) -> int:
    """Slices of a result; an image has one."""
    return len(found.labels) if found.labels.ndim == 3 else 1


def fail(end: CaseResult, error: Exception) -> None:
    """Says in `end` why a case failed."""
    end.status = REFUSED if isinstance(error, Refused) else FAILED
    end.quarantined = isinstance(error, Quarantined)
    end.message = error_text(error)
