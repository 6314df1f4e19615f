# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The line that a command prints for an exception, and its exit status."""

from medsam_engine.base.error_text import error_text
from medsam_engine.errors import Error

FAILED = 2  # any error of the library's family
INTERNAL_ERROR = 1


def outcome(error: Exception) -> tuple[str, int]:
    """What to print of an error, and the exit status."""
    # typer depends on click or carries its own copy, by version; a usage error of either has these two.
    format_message, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
    if callable(format_message) and isinstance(code, int):
        return str(format_message()), code
    return error_text(error), FAILED if isinstance(error, (Error, MemoryError, OSError)) else INTERNAL_ERROR
