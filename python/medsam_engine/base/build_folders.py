# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Where the package keeps what C++ and C projects build against."""

import sys
from pathlib import Path

FOLDERS = {"--cmake-dir": "lib/cmake/medsam_engine", "--pkgconfig-dir": "lib/pkgconfig"}


def build_folder(option: str) -> str:
    """The folder that a key of FOLDERS asks for.

    Raises:
        SystemExit: it is not there, because the package is imported from its sources.
    """
    folder = Path(__file__).resolve().parents[1] / FOLDERS[option]
    if not folder.is_dir():
        sys.exit(f"medsam-engine: {folder} is not there; install the built package (pip install . in a clone)")
    return str(folder)
