# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Values of files in the types that the engine takes: uint8, uint16, int16 or finite float32."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument


def engine_values(values: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    """The same values in a type the engine takes: uint8, uint16, int16 or float32.

    Integers stay exact: the narrowest of the 16-bit types that holds them, else float32 up to 2**24. float64 is rounded
    to float32. `values` themselves, not a copy, where they have that type already.

    Raises:
        InvalidArgument: NaN or infinity, complex numbers, or integers beyond 2**24.
    """
    return values.astype(_engine_type([values], values.dtype, path), copy=False)


def engine_parts(
    stored: NDArray[np.generic], rule: Callable[[NDArray[np.generic]], NDArray[np.generic]], path: Path
) -> NDArray[np.generic]:
    """engine_values of `rule(stored)`, made slice by slice: the rule's wide numbers are never there for a volume.

    Args:
        stored: (D, H, W) as the file has them.
        rule: maps each value by itself, to one type for all; called twice for each slice.
        path: for messages.

    Raises:
        InvalidArgument: as engine_values.
    """
    wide = rule(stored[:0]).dtype
    values = np.empty(stored.shape, _engine_type(map(rule, stored), wide, path))
    for part, out in zip(stored, values, strict=True):
        out[...] = rule(part)
    return values


def _engine_type(parts: Iterable[NDArray[np.generic]], dtype: np.dtype[np.generic], path: Path) -> type[np.generic]:
    """The type that engine_values gives for all of `parts`, which have `dtype`."""
    if dtype.kind == "b" or dtype == np.uint8:
        return np.uint8
    if dtype.kind == "f":
        _check_finite(parts, dtype, path)
        return np.float32
    if dtype.kind not in "iu":
        raise InvalidArgument(f"image: got voxels of type {dtype} in {path}, expected real numbers; convert them")
    if dtype in (np.int16, np.uint16):
        return dtype.type
    ends = [(int(part.min()), int(part.max())) for part in parts if part.size]
    low, high = min((low for low, _ in ends), default=0), max((high for _, high in ends), default=0)
    for narrow in (np.int16, np.uint16) if dtype.kind == "i" else (np.uint16, np.int16):
        if np.iinfo(narrow).min <= low and high <= np.iinfo(narrow).max:
            return narrow
    if max(-low, high) <= 1 << 24:
        return np.float32
    raise InvalidArgument(f"image: got values {low} to {high} in {path}, expected at most 24 bits; rescale the image")


def _check_finite(parts: Iterable[NDArray[np.generic]], dtype: np.dtype[np.generic], path: Path) -> None:
    bad, beyond, largest = 0, False, float(np.finfo(np.float32).max)
    for part in parts:
        for piece in part if part.ndim > 2 else [part]:
            bad += piece.size - int(np.count_nonzero(np.isfinite(piece)))
            beyond = beyond or (dtype.itemsize > 4 and piece.size > 0 and float(np.abs(piece).max()) > largest)
    if bad:
        raise InvalidArgument(
            f"image: got {bad} voxels that are NaN or infinite in {path}, expected finite values; "
            "replace them by the background's value"
        )
    if beyond:
        raise InvalidArgument(f"image: got values beyond float32 in {path}, expected smaller ones; rescale the image")
