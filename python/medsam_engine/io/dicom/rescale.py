# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""From stored values to the units of a DICOM file: Modality LUT or rescale rule (PS3.3 C.11.1), then MONOCHROME1."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.tables import modality_values
from medsam_engine.io.dicom.tags import check_all_or_none, check_frames, functional_groups, number

_NOTHING_STATED = "unstated"
_EXACT = 1 << 30  # a larger slope times 32 bits is more than an int64 holds


@dataclass(frozen=True)
class Scaled:
    """Values as numbers of a unit: "HU", "unstated" or another name."""

    values: NDArray[np.generic]
    units: str


@dataclass(frozen=True)
class _Rule:
    slope: float
    intercept: float
    units: str

    @property
    def is_identity(self) -> bool:
        return (self.slope, self.intercept) == (1.0, 0.0)


def in_units(stored: NDArray[np.generic], dataset: Any, path: Path, inverted: bool, notes: list[str]) -> Scaled:
    """Rescales, and inverts MONOCHROME1.

    Args:
        stored: (H, W) or (F, H, W).
        dataset: its header.
        path: for messages.
        inverted: whether small values are displayed bright. Hounsfield units are what they are and stay.
        notes: what was done is added.

    Raises:
        InvalidArgument: a slope of 0, a rule for some frames only, a damaged table.
    """
    frames = len(stored) if stored.ndim == 3 else 1
    bits = int(dataset.get("BitsStored") or dataset.get("BitsAllocated") or 16)
    signed = bool(dataset.get("PixelRepresentation"))
    ends = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if dataset.get("ModalityLUTSequence"):
        values, kind, top = modality_values(stored, dataset, path)
        scaled = Scaled(values, _NOTHING_STATED if kind in ("", "US") else kind)
        total: NDArray[np.generic] = np.array(top)
    else:
        rules = _rules(dataset, frames, path, notes)
        scaled = Scaled(_rescaled(stored, rules), rules[0].units)
        total = np.array([(ends[0] + ends[1]) * rule.slope + 2 * rule.intercept for rule in rules])
        if stored.dtype.kind == "f":
            total = np.asarray(scaled.values.min() + scaled.values.max())
    if not inverted:
        return scaled
    if scaled.units == "HU" and str(dataset.get("Modality") or "").upper() == "CT":
        notes.append("MONOCHROME1 not inverted: Hounsfield units")
        return scaled
    # PS3.3 C.7.6.3.1.2: the minimum is displayed white. Every model was trained with bright as large.
    notes.append("MONOCHROME1 inverted")
    return Scaled(_mirrored(scaled.values, total), scaled.units)


def _mirrored(values: NDArray[np.generic], total: NDArray[np.generic]) -> NDArray[np.generic]:
    """The total minus each value; exact for integers."""
    whole = values.dtype.kind in "iu" and bool((np.asarray(total) == np.rint(np.asarray(total, np.float64))).all())
    wide = values.astype(np.int64 if whole else np.float64)
    shape = (-1, 1, 1) if values.ndim == 3 and total.ndim == 1 else ()
    return np.asarray((total.reshape(shape) if shape else total.reshape(-1)[0]).astype(wide.dtype) - wide)


def _rules(dataset: Any, frames: int, path: Path, notes: list[str]) -> list[_Rule]:
    """One rule per frame."""
    check_frames(dataset, frames, path)
    items = [_transformation(dataset, frame) for frame in range(frames)]
    check_all_or_none([item is not None for item in items], "PixelValueTransformationSequence", path)
    rules = [_rule(dataset if item is None else item, path, notes) for item in items]
    return rules if items[0] is not None else rules[:1] * frames


def _transformation(dataset: Any, frame: int) -> Any:
    for group in functional_groups(dataset, frame):
        if group.get("PixelValueTransformationSequence"):
            return group.PixelValueTransformationSequence[0]
    return None


def _rule(holder: Any, path: Path, notes: list[str]) -> _Rule:
    slope, intercept = number(holder, "RescaleSlope"), number(holder, "RescaleIntercept")
    if slope == 0:
        raise InvalidArgument(
            f"image: got RescaleSlope 0 in {path}, expected another number: it makes all pixels equal; correct it, "
            "or remove RescaleSlope and RescaleIntercept for the values as stored"
        )
    kind = str(holder.get("RescaleType") or "").strip().upper()
    # CT images leave the type out where it is HU (PS3.3 C.8.2.1.1.2). US is "unspecified"; so is no intercept at all.
    units = _NOTHING_STATED if intercept is None or kind == "US" else kind or "HU"
    if (slope is None) != (intercept is None):
        missing = "RescaleSlope" if slope is None else "RescaleIntercept"
        note = f"{missing} missing, taken as {1 if slope is None else 0}"
        if note not in notes:
            notes.append(note)
    return _Rule(1.0 if slope is None else slope, 0.0 if intercept is None else intercept, units)


def _rescaled(values: NDArray[np.generic], rules: list[_Rule]) -> NDArray[np.generic]:
    if all(rule.is_identity for rule in rules):
        return values
    exact = values.dtype.kind in "iu" and all(
        part.is_integer() and abs(part) < _EXACT for rule in rules for part in (rule.slope, rule.intercept)
    )
    wide = values.astype(np.int64 if exact else np.float64).reshape(len(rules), *values.shape[-2:])
    shape = (len(rules), 1, 1)
    slopes = np.array([rule.slope for rule in rules]).reshape(shape).astype(wide.dtype)
    intercepts = np.array([rule.intercept for rule in rules]).reshape(shape).astype(wide.dtype)
    return np.asarray((wide * slopes + intercepts).reshape(values.shape))
