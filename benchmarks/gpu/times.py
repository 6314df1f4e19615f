# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How the check of a GPU times a call, for the engine and for PyTorch alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def summary(times: Sequence[float]) -> dict[str, Any]:
    """Median and 95th percentile of times in milliseconds."""
    return {"median_ms": float(np.median(times)), "p95_ms": float(np.percentile(times, 95)), "n": len(times)}


def timed(
    work: Callable[[], object], repeats: int, finish: Callable[[], None] = lambda: None, warm_up: int = 3
) -> dict[str, Any]:
    """Times `repeats` calls, each followed by `finish`, after some that do not count."""
    for _ in range(warm_up):
        work()
    finish()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        finish()
        times.append((time.perf_counter() - started) * 1e3)
    return summary(times)
