# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The one exception of the export tooling."""


class ExportError(RuntimeError):
    """An export, fetch or parity check cannot be done.

    The message is one line: what, got, expected, remedy.
    """
