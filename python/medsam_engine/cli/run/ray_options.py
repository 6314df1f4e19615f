# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options of `medsam-engine run` for a Ray cluster."""

from typing import Annotated

import typer

from medsam_engine.cohort.ray_options import RayOptions
from medsam_engine.errors import InvalidArgument

_PANEL = "Ray"
_AUTO = "auto"

Ray = Annotated[
    str | None,
    typer.Option(
        help="Let a Ray cluster do the cases of a table: local (one on this machine for this run) or its address, "
        "HOST:PORT.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Actors = Annotated[
    str,
    typer.Option(
        help="Engines on the cluster, each with --threads CPUs (1 by default): a number, or auto for as many as there "
        "is room for.",
        rich_help_panel=_PANEL,
    ),
]


def ray_options(address: str | None, actors: str) -> RayOptions | None:
    """What --ray and --actors ask for; None = no Ray. InvalidArgument: a word that is none."""
    if address is None:
        if actors != _AUTO:
            raise InvalidArgument("--actors: got it without --ray, expected both; see --help")
        return None
    if actors != _AUTO and not (actors.isascii() and actors.isdigit()):
        raise InvalidArgument(f"--actors: got {actors}, expected auto or a number from 1")
    chosen = RayOptions(address, None if actors == _AUTO else int(actors))
    chosen.check()
    return chosen
