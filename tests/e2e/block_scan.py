# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A CT of one bright block, in which it is known what a drawing has to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nifti_builder import save as save_nifti

SHAPE = (9, 80, 96)  # z, y, x
BLOCK = (30, 20, 2, 69, 54, 6)  # x0, y0, z0, x1, y1, z1, ends inclusive


def block(shape: tuple[int, int, int] = SHAPE) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where it is, in array order."""
    inside = np.zeros(shape, np.bool_)
    x0, y0, z0, x1, y1, z1 = BLOCK
    inside[z0 : z1 + 1 + shape[0] - SHAPE[0], y0 : y1 + 1, x0 : x1 + 1] = True
    return inside


def save_block(folder: Path, depth: int = SHAPE[0]) -> Path:
    """The scan as a NIfTI file; the block reaches to two slices before the last of `depth`."""
    shape = (depth, *SHAPE[1:])
    values = np.where(block(shape), 160, -60) + np.random.default_rng(7).integers(0, 20, shape)
    path: Path = save_nifti(folder / "block.nii.gz", values.astype(np.int16).transpose(), np.diag([-1, -1, 2, 1]))
    return path
