# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What DICOM files say in numbers, checked where a file is read, so that nothing later meets text or a comma."""

from pathlib import Path
from typing import Any

import numpy as np

from medsam_engine.errors import InvalidArgument

# How many numbers each attribute has that values or geometry depend on.
_COUNTS = {
    "Rows": 1, "Columns": 1, "SamplesPerPixel": 1, "PlanarConfiguration": 1, "NumberOfFrames": 1, "BitsAllocated": 1,
    "BitsStored": 1, "HighBit": 1, "PixelRepresentation": 1, "RescaleSlope": 1, "RescaleIntercept": 1,
    "PixelPaddingValue": 1, "PixelPaddingRangeLimit": 1, "FloatPixelPaddingValue": 1, "FloatPixelPaddingRangeLimit": 1,
    "DoubleFloatPixelPaddingValue": 1, "DoubleFloatPixelPaddingRangeLimit": 1, "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6, "PixelSpacing": 2, "ImagerPixelSpacing": 2, "NominalScannedPixelSpacing": 2,
    "SliceThickness": 1, "SpacingBetweenSlices": 1,
}  # fmt: skip
_FRAME_SEQUENCES = {
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence",
}  # fmt: skip
_SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def check_numbers(dataset: Any, path: Path) -> None:
    """Refuses attributes that are no numbers, not finite or too many; empty ones count as absent. InvalidArgument."""
    for name in _COUNTS:
        if name in dataset:
            _check(dataset, name, path)
    for name in _SEQUENCES:
        for group in _items(dataset, name, path):
            for inner in _FRAME_SEQUENCES:
                for item in _items(group, inner, path):
                    check_numbers(item, path)


def _items(holder: Any, name: str, path: Path) -> list[Any]:
    if name not in holder:
        return []
    try:
        items = list(holder[name].value or ())
        sound = holder[name].VR == "SQ"
    except Exception as error:  # pydicom raises nearly every kind for a damaged element
        raise _refused(holder, name, "a sequence", path) from error
    if not sound:
        raise _refused(holder, name, "a sequence", path)
    return items


def _check(holder: Any, name: str, path: Path) -> None:
    count = _COUNTS[name]
    wanted = "a number" if count == 1 else f"{count} numbers"
    try:
        value = holder[name].value
        if value is None or (hasattr(value, "__len__") and len(value) == 0):
            return
        parts = [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") else list(value)
        numbers = [float(part) for part in parts]
    except Exception as error:  # of pydicom, or of float()
        raise _refused(holder, name, f"{wanted} with a decimal point", path) from error
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise _refused(holder, name, wanted, path)


def _refused(holder: Any, name: str, wanted: str, path: Path) -> InvalidArgument:
    try:
        raw = holder.get_item(name)
        value, tag = raw.value, raw.tag
    except Exception:  # what cannot be shown is named
        value, tag = "an unreadable value", None
    if not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
        value = "\\".join(str(part) for part in value)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    shown = " ".join("".join(c if c.isprintable() else "?" for c in text).split())[:60]
    return InvalidArgument(
        f"image: got '{shown}' for {name}{f' {tag}' if tag is not None else ''} in {path}, expected {wanted}; "
        "correct the tag"
    )


def number(holder: Any, name: str) -> float | None:
    """One number of a checked dataset; None when the attribute is absent or empty."""
    value = holder.get(name)
    return None if value is None or value == "" else float(value)


def functional_groups(dataset: Any, frame: int) -> list[Any]:
    """Where an enhanced multi-frame object says things about one frame: its own group first, then the shared one."""
    groups = []
    if "PerFrameFunctionalGroupsSequence" in dataset and frame < len(dataset.PerFrameFunctionalGroupsSequence):
        groups.append(dataset.PerFrameFunctionalGroupsSequence[frame])
    if dataset.get("SharedFunctionalGroupsSequence"):
        groups.append(dataset.SharedFunctionalGroupsSequence[0])
    return groups


def check_frames(dataset: Any, frames: int, path: Path) -> None:
    """Refuses an enhanced multi-frame object whose list of frames is not as long as its pixels. InvalidArgument."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return
    listed = len(dataset.PerFrameFunctionalGroupsSequence)
    if listed != frames:
        raise InvalidArgument(
            f"image: got {listed} items of PerFrameFunctionalGroupsSequence for {frames} frames in {path}, expected "
            "one per frame; the file is damaged"
        )


def check_all_or_none(has: list[bool], what: str, path: Path) -> None:
    """Refuses what some frames have and others lack. InvalidArgument names the first frame without."""
    if any(has) and not all(has):
        raise InvalidArgument(
            f"image: got no {what} for frame {has.index(False) + 1} of {len(has)} in {path}, expected it for all "
            "frames or for none; the file is damaged"
        )
