# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The exceptions of the package. Every message is one line: the subject, what was given and expected, the remedy."""

from medsam_engine._core import (
    BackendError,
    Cancelled,
    Error,
    InvalidArgument,
    ModelError,
    OutOfMemory,
    Unsupported,
)

__all__ = ["BackendError", "Cancelled", "Error", "InvalidArgument", "ModelError", "OutOfMemory", "Unsupported"]
