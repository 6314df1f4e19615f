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

    def __init__(self, finished: Callable[[CaseResult], object] | None) -> None:
        self.results: list[CaseResult] = []
        self._finished = finished

    def note(self, text: str) -> None:
        """The records have the notes."""

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
        return segment_on_ray(cases, options, ray, finished=finished)
    listed = read_cases(cases).cases if isinstance(cases, str | os.PathLike) else list(cases)
    options.check()
    inputs = inputs_of(listed)
    check_folders(options, inputs)
    worker = CaseWorker(options, engine, ReadFiles(inputs))
    files = distinct_files(worker.files(case) for case in listed)
    if listed:
        assert worker.engine is not None  # loaded before the first case, as its faults are no case's
    watch = _Results(finished)
    CaseRun(files, worker, watch).run()
    return watch.results
