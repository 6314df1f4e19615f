# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Stored values of DICOM pixels: the bits that are theirs (PS3.5 8.1), and which are padding (PS3.3 C.7.5.1)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.tags import number

# The attributes for each kind of pixel data.
_PADDING = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}


def stored_values(values: NDArray[Any], dataset: Any, path: Path, notes: list[str]) -> NDArray[Any]:
    """Gray samples with all their allocated bits as the values that BitsStored and HighBit describe.

    What lies above the stored bits (an old overlay, padding of a value that they cannot hold) is left out, whatever the
    compression; pixels that hold the padding value keep it, so that they can be told apart.

    Args:
        values: decoded, with bits above BitsStored as they came.
        dataset: its header.
        path: for messages.
        notes: what was done is added.

    Raises:
        InvalidArgument: BitsStored, HighBit or PixelRepresentation that contradict each other or the pixels.
    """
    if values.dtype.kind == "f":
        return values
    allocated, stored = int(dataset.BitsAllocated), int(dataset.get("BitsStored") or dataset.BitsAllocated)
    high = number(dataset, "HighBit")
    signed = int(dataset.get("PixelRepresentation") or 0)
    shift = 0 if high is None else int(high) + 1 - stored
    if not 1 <= stored <= allocated or not 0 <= shift <= allocated - stored or signed not in (0, 1):
        raise InvalidArgument(
            f"image: got BitsAllocated {allocated}, BitsStored {stored}, HighBit {high}, PixelRepresentation {signed} "
            f"in {path}, expected the stored bits within the allocated ones; correct the tags"
        )
    if values.dtype.kind != "ui"[signed]:
        raise InvalidArgument(
            f"image: got {values.dtype} pixels in {path}, expected them {'signed' if signed else 'unsigned'} by "
            "PixelRepresentation; correct the tag"
        )
    if shift:
        values = _moved_down(values, shift, stored, dataset, path, notes)
    unused = 8 * values.dtype.itemsize - stored
    if unused <= 0:
        return values
    masked = (values << unused) >> unused  # arithmetic where signed: the sign is extended
    changed = masked != values
    if not changed.any():
        return values
    limits = _padding_limits(dataset, values.dtype)
    if limits is not None:
        masked = np.where((values >= limits[0]) & (values <= limits[1]) & changed, values, masked)
    if (masked != values).any():
        notes.append(f"bits above BitsStored {stored} left out: an overlay or the like lies there")
    return masked


def _moved_down(
    values: NDArray[Any], shift: int, stored: int, dataset: Any, path: Path, notes: list[str]
) -> NDArray[Any]:
    """Values whose lowest bit is not bit 0, as DICOM once allowed; trusted where the bits below say the same."""
    overlays = [dataset.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2)]
    positions = [int(element.value) for element in overlays if element is not None and element.value not in (None, "")]
    declared = sum(1 << position for position in set(positions) if 0 <= position < shift)
    unexplained = values & (((1 << shift) - 1) & ~declared)
    compressed = bool(dataset.file_meta.TransferSyntaxUID.is_encapsulated)
    if compressed or unexplained.any():
        raise InvalidArgument(
            f"image: got HighBit {dataset.HighBit} for BitsStored {stored} in {path}, expected {stored - 1}: the bits "
            "below are not empty; correct the tag"
        )
    notes.append(f"HighBit {dataset.HighBit}: values moved down by {shift} bits")
    return np.asarray(values >> shift)


def _padding_limits(dataset: Any, dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """The lowest and highest padding value, in the sign of the pixels; None when there is none."""
    name = next((name for name in _PADDING if name in dataset), "PixelData")
    value, limit = (number(dataset, tag) for tag in _PADDING[name])
    if value is None:
        return None
    ends = [value, value if limit is None else limit]
    if dtype.kind in "iu":  # a writer may have taken US for SS, or the other way round
        bits = 8 * dtype.itemsize
        info = np.iinfo(dtype)
        ends = [end - (1 << bits) if end > info.max and dtype.kind == "i" else end for end in ends]
        ends = [end + (1 << bits) if end < 0 and dtype.kind == "u" else end for end in ends]
    return min(ends), max(ends)


def is_padding(values: NDArray[Any], dataset: Any) -> NDArray[np.bool_] | None:
    """Which stored values are padding, in the shape of `values`; None when the file declares none or none is there."""
    limits = _padding_limits(dataset, values.dtype)
    if limits is None:
        return None
    hit = np.asarray((values >= limits[0]) & (values <= limits[1]))
    return hit if hit.any() else None
