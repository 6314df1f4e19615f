# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How many processor cores this process may use, and how busy they are."""

import os


def usable_cores() -> int:
    """Those that the system lets this process run on; on systems that do not say, all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_average() -> float | None:
    """Of the last minute; None on Windows, which has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
