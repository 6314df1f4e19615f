# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""An exception as one line for people."""

from medsam_engine.errors import Error


def error_text(error: BaseException) -> str:
    """One line: of an error of the library's family, of the memory's or a disk's, or of anything else raised."""
    if isinstance(error, Error):  # the whole family, out of memory and the backend's failures too (docs/errors.md)
        text = str(error)
    elif isinstance(error, MemoryError):  # NumPy's and Python's own, which no reader turned into OutOfMemory
        text = f"out of memory: {str(error) or 'an allocation failed'}; use a smaller image or free memory"
    elif isinstance(error, OSError):  # of a file or a disk, not of this program: a folder went away, a disk is full
        text = f"{error.filename or 'input or output'}: {error.strerror or error}"
    else:
        text = f"internal error: {type(error).__name__}: {error}"
    return " ".join(text.split())
