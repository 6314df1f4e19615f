# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NIfTI files for tests, made by nibabel and then bent byte by byte."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")

# Offsets of header fields (nifti1.h).
SROW, PIXDIM, SFORM_CODE, QFORM_CODE, DIM, QUATERN = 280, 76, 254, 252, 40, 256


def rotation(seed: int) -> NDArray[np.float64]:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(q * np.sign(np.diag(r)))


def affine(seed: int = 0, spacing: tuple[float, float, float] = (0.7, 0.8, 3.0)) -> NDArray[np.float64]:
    made = np.eye(4)
    made[:3, :3] = rotation(seed) * np.array(spacing)
    made[:3, 3] = (-31.0, 12.5, 90.25)
    return made


def save(path: Path, values: NDArray[np.generic], ras: NDArray[np.float64] | None, **changes: Any) -> Path:
    """Writes values (x, y, z[, t]) through nibabel."""
    image = nib.Nifti1Image(values, ras)
    for name, value in changes.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def patched(path: Path, offset: int, form: str, *values: float) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into("<" + form, content, offset, *values)
    path.write_bytes(content)
    return path
