# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases by the many: `segment` does a table of them, and `CaseWorker` is what a scheduler's workers call.

A case (`CaseSpec`) and the options of a run (`RunOptions`) are plain values. `CaseWorker(options)` loads its engine
once, and `worker(case)` reads the image, segments it, writes the answer and, last, a record beside it: what the answer
was made of and by. A case whose answer and record are there and belong to this very case, model and options is skipped,
so that any run can be stopped and done again, here or elsewhere.

- case_spec, case_rows, case_table, case_lists, case_folder, case_sources: which cases, and from where
- run_options: what holds for all of them
- run_inputs: that no answer is written over anything that is read
- answer_paths, answer_record: where answers go, and the record of how each was made
- segment_case, worker: one case
- run_engine, reproducible: the engine that does it
- case_result: how it ended
- case_run, entry: all of them
- distinct_answers: whether each has an answer of its own, for schedulers
- ray_options, ray_actor, ray_run, ray_entry, ray_batches: the same on a Ray cluster
"""

from typing import TYPE_CHECKING

from medsam_engine.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from medsam_engine.cohort.case_result import CaseResult, Measured
    from medsam_engine.cohort.case_rows import CaseList
    from medsam_engine.cohort.case_sources import read_cases
    from medsam_engine.cohort.case_spec import CaseSpec, ObjectPrompt
    from medsam_engine.cohort.distinct_answers import check_distinct_answers
    from medsam_engine.cohort.entry import segment
    from medsam_engine.cohort.ray_batches import CaseBatches, ray_rows
    from medsam_engine.cohort.ray_entry import segment_on_ray
    from medsam_engine.cohort.ray_options import RayOptions
    from medsam_engine.cohort.run_options import RunOptions
    from medsam_engine.cohort.worker import CaseWorker

__all__ = [
    "CaseBatches",
    "CaseList",
    "CaseResult",
    "CaseSpec",
    "CaseWorker",
    "Measured",
    "ObjectPrompt",
    "RayOptions",
    "RunOptions",
    "check_distinct_answers",
    "ray_rows",
    "read_cases",
    "segment",
    "segment_on_ray",
]

if not TYPE_CHECKING:
    __getattr__ = lazy_names(
        __name__,
        {
            "CaseBatches": "medsam_engine.cohort.ray_batches",
            "CaseList": "medsam_engine.cohort.case_rows",
            "CaseResult": "medsam_engine.cohort.case_result",
            "CaseSpec": "medsam_engine.cohort.case_spec",
            "CaseWorker": "medsam_engine.cohort.worker",
            "Measured": "medsam_engine.cohort.case_result",
            "ObjectPrompt": "medsam_engine.cohort.case_spec",
            "RayOptions": "medsam_engine.cohort.ray_options",
            "RunOptions": "medsam_engine.cohort.run_options",
            "check_distinct_answers": "medsam_engine.cohort.distinct_answers",
            "ray_rows": "medsam_engine.cohort.ray_batches",
            "read_cases": "medsam_engine.cohort.case_sources",
            "segment": "medsam_engine.cohort.entry",
            "segment_on_ray": "medsam_engine.cohort.ray_entry",
        },
    )
