# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a Session takes by itself, without a server: what the server's and the page's times are held against."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarks.serve.load import ORGAN, SLICE, SPACING
from numpy.typing import NDArray

from medsam_engine import Engine, Session


class Own(NamedTuple):
    """Times in ms, and what computed them."""

    clicks: NDArray[np.float64]
    corrections: NDArray[np.float64]
    precision: str


def own_times(
    bundle: Path,
    precision: str,
    values: NDArray[np.generic],
    window: str,
    clicks: list[tuple[int, int]],
    corrections: list[tuple[int, int]],
) -> Own:
    """Clicks that begin an object, and negative ones at an object that a box has found, on an encoded slice."""
    engine = Engine(bundle, precision=precision)
    session = Session(engine, values, SPACING, window, "CT", encode_ahead=False)
    session.add_box("first", np.ravel(ORGAN), SLICE)

    def click(point: tuple[int, int]) -> Callable[[], object]:
        return lambda: session.add_click(f"at {point}", point, slice=SLICE)

    def correct(point: tuple[int, int]) -> Callable[[], object]:
        return lambda: session.add_click("first", point, False, SLICE)

    took = [_ms(click(point)) for point in clicks]
    corrected = []
    for point in corrections:
        corrected.append(_ms(correct(point)))
        session.undo()
    return Own(np.array(took), np.array(corrected), engine.info.precision)


def _ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
