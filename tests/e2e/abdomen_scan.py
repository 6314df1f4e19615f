# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Something like a CT of an abdomen with two organs that are known to the voxel: what pictures of the page show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHAPE = (40, 160, 208)  # z, y, x
SPACING = (1.6, 1.6, 4.0)  # mm
LIVER = ((74, 74, 19), (37, 30, 17))  # middle and half axes, x, y, z
KIDNEY = ((138, 92, 18), (15, 18, 11))
SLICE = 19


def ellipsoid(middle: tuple[int, int, int], half: tuple[int, int, int]) -> NDArray[np.bool_]:
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    squares = [((v - m) / h) ** 2 for v, m, h in zip((x, y, z), middle, half, strict=True)]
    return np.asarray(squares[0] + squares[1] + squares[2] <= 1)


def abdomen() -> NDArray[np.int16]:
    """Hounsfield units of something like an abdomen."""
    values = np.full(SHAPE, -1000.0)
    for middle, half, units in (
        ((104, 80, 20), (92, 66, 60), -90.0),  # fat
        ((104, 80, 20), (84, 58, 60), 35.0),  # muscle and bowel
        (*LIVER, 115.0),
        (*KIDNEY, 175.0),
        ((70, 112, 18), (14, 13, 11), 175.0),
        ((104, 118, 20), (13, 11, 60), 330.0),  # spine
        ((108, 98, 20), (7, 7, 60), 210.0),  # aorta
        ((140, 60, 22), (19, 15, 8), -20.0),  # stomach
    ):
        values[np.broadcast_to(ellipsoid(middle, half), SHAPE)] = units
    noise = np.random.default_rng(11).normal(0, 1, SHAPE)
    smooth = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + np.roll(noise, (1, 1), (1, 2))) * 9
    return (values + smooth).astype(np.int16)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))
