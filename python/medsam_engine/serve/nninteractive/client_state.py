# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What belongs to one lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medsam_engine.serve.workplace import Workplace


class ClientState:
    """The image and the drawing of one client."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self.image_bytes = 0

    def end(self) -> None:
        """Drops the image."""
        self.image_bytes = 0
