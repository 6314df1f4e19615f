# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases from Python, on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from medsam_engine.base.output_check import ReadFiles
from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.cohort.case_sources import read_cases
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.distinct_answers import distinct_files
from medsam_engine.cohort.ray_actor import RayCluster
from medsam_engine.cohort.ray_options import RayOptions
from medsam_engine.cohort.ray_run import RayRun, RayWork
from medsam_engine.cohort.run_inputs import check_folders, inputs_of
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.worker import CaseWorker


def segment_on_ray(
    cases: str | os.PathLike[str] | Iterable[CaseSpec],
    options: RunOptions,
    ray: RayOptions | None = None,
    *,
    finished: Callable[[CaseResult], object] | None = None,
    note: Callable[[str], object] | None = None,
) -> list[CaseResult]:
    """Segments all cases on the engines of a Ray cluster; the same answers and records as `segment` writes.

    The images, the folder of the answers and the model must have the same paths on all nodes. Each engine has `threads`
    of `options`, 1 if it is 0, and asks Ray for as many CPUs; for the device cuda:N it asks for a GPU. A case whose
    process or node is lost is done by another one; after `tries` ends of its process it is quarantined.
    The main thread may call this while no other thread uses Ray.

    Args:
        cases: CaseSpec values, or what `read_cases` reads.
        options: of the run.
        ray: the cluster; None = one on this machine for the run.
        finished: called with each result as the case ends, in this thread and in no order.
        note: called with each line that there is to know of the engines, once.

    Returns:
        One result per case, in their order. A case that fails does not raise.

    Raises:
        InvalidArgument: the table or an option is wrong, two cases would have one answer, answers would be written over
            or beside what is read, or the nodes' models differ.
        Unsupported: ray is not installed, or the cluster cannot be reached.
        Error: an engine cannot be loaded.
    """
    listed = read_cases(cases).cases if isinstance(cases, str | os.PathLike) else list(cases)
    options.check()
    worker = CaseWorker(options)
    files = distinct_files(worker.files(case) for case in listed)
    check_folders(options, listed)
    reads = ReadFiles(inputs_of(listed))
    chosen = ray or RayOptions()
    with RayCluster(chosen) as cluster:
        work = RayWork(files, worker, chosen, reads)
        return RayRun(cluster, work, finished or (lambda _end: None), note or (lambda _text: None)).run()
