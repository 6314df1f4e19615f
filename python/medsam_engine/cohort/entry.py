# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases from Python: `segment` does all of them in this process, or has Ray do them."""

import os
from collections.abc import Callable, Iterable

from medsam_engine import Engine
from medsam_engine.base.output_check import ReadFiles
from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.cohort.case_run import CaseRun
from medsam_engine.cohort.case_sources import read_cases
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.distinct_answers import distinct_files
from medsam_engine.cohort.ray_entry import segment_on_ray
from medsam_engine.cohort.ray_options import RayOptions
from medsam_engine.cohort.run_inputs import check_folders, inputs_of
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.worker import CaseWorker
from medsam_engine.errors import InvalidArgument


class _Results:
    """Keeps how each case ended, and passes it on."""

    def __init__(self, finished: Callable[[CaseResult], object] | None, note: Callable[[str], object] | None) -> None:
        self.results: list[CaseResult] = []
        self._finished, self._note = finished, note

    def note(self, text: str) -> None:
        """Something to know of the engine or of a case; the records have it, too."""
        if self._note is not None:
            self._note(text)

    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None:
        """Nobody has asked."""

    def finished(self, end: CaseResult) -> None:
        """A case has ended."""
        self.results.append(end)
        if self._finished is not None:
            self._finished(end)


def segment(
    cases: str | os.PathLike[str] | Iterable[CaseSpec],
    options: RunOptions,
    *,
    engine: Engine | None = None,
    ray: RayOptions | None = None,
    finished: Callable[[CaseResult], object] | None = None,
    note: Callable[[str], object] | None = None,
) -> list[CaseResult]:
    """Segments all cases in this process and writes their answers; finished ones are skipped, failing ones are told.

    While a case is segmented, the next one is read and the last one written. A process that a case ends (out of memory,
    a fault in a library) is not brought back: `medsam-engine run` does that.

    Args:
        cases: CaseSpec values, or what `read_cases` reads.
        options: of the run.
        engine: one that is loaded already, in place of the one that `options` describe.
        ray: a Ray cluster that is to do the cases instead, as `segment_on_ray`.
        finished: called with each result as the case ends, in this thread.
        note: called with each line that there is to know of the engine or of a case, in this thread; the records beside
            the answers hold them, too. With `ray`, those of the engines only.

    Returns:
        One result per case, in their order. A case that fails does not raise.

    Raises:
        InvalidArgument: the table or an option is wrong, two cases would have one answer, or answers would be written
            over or beside what is read; nothing has run then.
        Error: the engine cannot be loaded.
    """
    if ray is not None:
        if engine is not None:
            raise InvalidArgument("segment: got an engine with ray, expected one of them; the actors load their own")
        return segment_on_ray(cases, options, ray, finished=finished, note=note)
    listed = read_cases(cases).cases if isinstance(cases, str | os.PathLike) else list(cases)
    options.check()
    check_folders(options, listed)
    worker = CaseWorker(options, engine, ReadFiles(inputs_of(listed)))
    files = distinct_files(worker.files(case) for case in listed)
    watch = _Results(finished, note)
    if listed:
        worker.load()  # before the first case, as its faults are no case's
        for text in worker.notes:
            watch.note(text)
    CaseRun(files, worker, watch).run()
    return watch.results
