# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The page's own interface, below /api/ (docs/serve_api.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from medsam_engine.serve.workplace import Workplace


def routes(workplace: Workplace) -> list[BaseRoute]:
    """The routes."""
    from medsam_engine.serve.api.desk import Desk
    from medsam_engine.serve.api.openapi import document_route
    from medsam_engine.serve.api.studies import Studies
    from medsam_engine.serve.api.uploads import Uploads

    desk = Desk(workplace)
    return [*Studies(desk).routes(), *Uploads(desk).routes(), document_route()]
