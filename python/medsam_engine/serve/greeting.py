# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the server says of itself to whoever opens it without a key, or where no page is installed."""

from __future__ import annotations

import medsam_engine

_TEXT = """\
This is medsam-engine {version}.

In the browser: open the address that `medsam-engine serve` printed when it started; it has a token.

In napari (napari-nninteractive), 3D Slicer (SlicerNNInteractive 1.0.0 or newer) and MITK (nnInteractive tool): choose
a remote server, give the address of this page without what follows the port, and the key that the server printed.

Python scripts: nninteractive-client. ITK-SNAP and OHIF speak other protocols and do not work with this server.
"""


def greeting() -> str:
    """The text; it says nothing of what is open."""
    return _TEXT.format(version=medsam_engine.__version__)
