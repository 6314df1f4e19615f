# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run --ray`: the cases of a table on the engines of a Ray cluster."""

from typing import Annotated

import typer

from medsam_engine.cli.run.result_tables import ResultTables
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.cohort.ray_actor import RayCluster
from medsam_engine.cohort.ray_options import RayOptions
from medsam_engine.cohort.ray_run import RayRun, RayWork
from medsam_engine.errors import InvalidArgument

PANEL = "Ray"
AUTO = "auto"

Ray = Annotated[
    str | None,
    typer.Option(
        help="Let a Ray cluster do the cases of a table: local (one on this machine for this run) or its address, "
        "HOST:PORT.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Actors = Annotated[
    str,
    typer.Option(
        help="Engines on the cluster, each with --threads CPUs (1 by default): a number, or auto for as many as there "
        "is room for.",
        rich_help_panel=PANEL,
    ),
]


def ray_options(address: str | None, actors: str) -> RayOptions | None:
    """What --ray and --actors ask for; None = no Ray. InvalidArgument: a word that is none."""
    if address is None:
        if actors != AUTO:
            raise InvalidArgument("--actors: got it without --ray, expected both; see --help")
        return None
    if actors != AUTO and not (actors.isascii() and actors.isdigit()):
        raise InvalidArgument(f"--actors: got {actors}, expected auto or a number from 1")
    chosen = RayOptions(address, None if actors == AUTO else int(actors))
    chosen.check()
    return chosen


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

    run = RayRun(cluster, work, finished, lambda text: screen.note(f"note: {text}"))
    try:
        run.run()
    finally:
        screen.note(f"ray: {run.loads} engine{'s' * (run.loads != 1)} loaded")
