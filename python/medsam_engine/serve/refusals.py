# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the server refuses with a status of its own (app), whoever asks."""

from medsam_engine.errors import InvalidArgument


class TooLarge(InvalidArgument):
    """More bytes than the server takes (413)."""
