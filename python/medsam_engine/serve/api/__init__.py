# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The page's own interface, below /api/."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from medsam_engine.serve.workplace import Workplace


def routes(workplace: Workplace) -> list[BaseRoute]:
    """The routes."""
    del workplace
    return []
