# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a command says of an exception, and the exit status that it stands for."""

from medsam_engine.errors import Error

FAILED = 2  # any error of the library's family
INTERNAL_ERROR = 1


def outcome(error: Exception) -> tuple[str, int]:
    """What to print of an error, and the exit status."""
    if isinstance(error, Error):  # the whole family, out of memory and the backend's failures too (docs/errors.md)
        return str(error), FAILED
    if isinstance(error, MemoryError):  # NumPy's and Python's own, which no reader turned into OutOfMemory
        return f"out of memory: {str(error) or 'an allocation failed'}; use a smaller image or free memory", FAILED
    if isinstance(error, OSError):  # of a file or a disk, not of this program: a folder went away, a disk is full
        return f"{error.filename or 'input or output'}: {error.strerror or error}", FAILED
    # typer depends on click or carries its own copy, by version; a usage error of either has these two.
    format_message, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
    if callable(format_message) and isinstance(code, int):
        return str(format_message()), code
    return f"internal error: {type(error).__name__}: {error}", INTERNAL_ERROR
