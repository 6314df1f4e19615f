# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run --ray`: the cases of a table on the engines of a Ray cluster."""

from medsam_engine.cli.run.result_tables import ResultTables
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.cohort.ray_actor import RayCluster
from medsam_engine.cohort.ray_run import RayRun, RayWork


def run_on_ray(cluster: RayCluster, work: RayWork, screen: RunScreen, tables: ResultTables) -> None:
    """Has the cluster do the cases and says how they end.

    Raises:
        Error: an engine cannot be loaded.
    """
    ended = 0
    count = len(work.files)

    def finished(end: CaseResult) -> None:
        nonlocal ended
        ended += 1
        screen.progress(ended - 1, count, end.name, 1, 1)
        screen.finished(end)
        tables.add(end)

    run = RayRun(cluster, work, finished, screen.note)
    try:
        run.run()
    finally:
        screen.note(f"ray: {run.loads} engine{'s' * (run.loads != 1)} loaded")
