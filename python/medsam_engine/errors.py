# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The one family of errors. Every message is one line: what, got, expected, remedy."""

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
