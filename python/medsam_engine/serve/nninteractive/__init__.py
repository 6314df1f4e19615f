# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""nnInteractive's remote protocol 2.6, which napari-nninteractive, SlicerNNInteractive and MITK speak (docs/serve.md).

Written from a description of the wire; no code of nnInteractive's is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from medsam_engine.serve.workplace import Workplace


def routes(workplace: Workplace) -> list[BaseRoute]:
    """The routes, at the root."""
    from medsam_engine.serve.nninteractive.routes import Protocol  # which imports the workplace, which imports this

    return Protocol(workplace).routes()
