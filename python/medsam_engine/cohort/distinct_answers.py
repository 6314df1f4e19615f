# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whether the cases of a run have an answer each: to be asked before a scheduler gives them to several workers."""

from __future__ import annotations

from collections.abc import Iterable

from medsam_engine.cohort.answer_paths import distinct_files
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.worker import CaseWorker


def check_distinct_answers(cases: Iterable[CaseSpec], options: RunOptions) -> None:
    """Refuses cases of which two would write one answer.

    `segment`, `segment_on_ray` and the command do this themselves. Two workers that do two such cases at once see no
    answer yet, and both write: one mask would be lost, although both cases end as done.

    Args:
        cases: all cases of the run.
        options: of the run; no model is loaded.

    Raises:
        InvalidArgument: two cases have one answer, or options do not go together.
    """
    worker = CaseWorker(options)
    distinct_files(worker.files(case) for case in cases)
