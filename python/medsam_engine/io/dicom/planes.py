# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Where DICOM slices lie (PS3.3 C.7.6.2), and whether a set of them is a volume without gaps.

``get_volume_from_series`` of highdicom 0.28.2 was tried on 2026-11-28 and is not used. It refuses every gap with
"not a regularly-spaced volume", so that the search for the slice and the reason that a message names would remain.
As it comes, it accepts a gantry tilt of 2 degrees, which shifts the last of 100 slices by 10 mm, and refuses steps
that a scanner has rounded; with the tolerance that those need, it accepts steps that add up to several mm off an
even grid. A single slice becomes 1 mm thick.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.tags import functional_groups
from medsam_engine.io.medical_image import Vector

# Steps between neighbors may differ by this share of the usual step: scanners round positions to 0.01 or 0.1 mm.
_UNEVEN = 0.05


@dataclass(frozen=True)
class Plane:
    """One slice: position of its first pixel (3,) in LPS mm, its row and column directions (2, 3), spacings in mm."""

    position: NDArray[np.float64] | None
    directions: NDArray[np.float64] | None
    column_spacing: float  # along x
    row_spacing: float  # along y
    thickness: float | None
    spaced: bool
    note: str = ""


@dataclass(frozen=True)
class Stack:
    """Slices in order, and the grid they make. `along`: of each in that order, mm along the normal."""

    order: tuple[int, ...]
    along: tuple[float, ...]
    spacing: Vector
    origin: Vector
    direction: NDArray[np.float64]


def _find(dataset: Any, frame: int, sequence: str, name: str) -> Any:
    for group in functional_groups(dataset, frame):
        if group.get(sequence) and group[sequence][0].get(name) is not None:
            return group[sequence][0].get(name)
    return dataset.get(name)


def _numbers(value: Any, count: int) -> NDArray[np.float64] | None:
    # An empty element is one number less, as pydicom has it: None.
    if value is None or not hasattr(value, "__len__") or len(value) != count:
        return None
    return np.array([float(part) for part in value])


def plane_of(dataset: Any, frame: int = 0) -> Plane:
    """Reads the plane of a single-frame file, or of one frame of an enhanced multi-frame file."""
    position = _numbers(_find(dataset, frame, "PlanePositionSequence", "ImagePositionPatient"), 3)
    cosines = _numbers(_find(dataset, frame, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    spacing, note = _numbers(_find(dataset, frame, "PixelMeasuresSequence", "PixelSpacing"), 2), ""
    if spacing is None:
        for name in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
            spacing = _numbers(dataset.get(name), 2)
            if spacing is not None:
                note = f"spacing from {name}, measured at the detector"
                break
        else:
            note = "pixel spacing unknown: the file has no PixelSpacing; sizes in mm are not known either"
    between = dataset.get("SpacingBetweenSlices") or _find(dataset, frame, "PixelMeasuresSequence", "SliceThickness")
    return Plane(
        position=position,
        directions=None if cosines is None else cosines.reshape(2, 3),
        row_spacing=1.0 if spacing is None else float(spacing[0]),  # PixelSpacing: between rows, then columns
        column_spacing=1.0 if spacing is None else float(spacing[1]),
        thickness=float(between) if between not in (None, "") and float(between) > 0 else None,
        spaced=spacing is not None,
        note=note,
    )


def stack_planes(planes: list[Plane], names: list[str], where: str, keep_descending: bool = False) -> Stack:
    """Orders slices along their normal, ascending, and checks that they fill a rectangular grid.

    Args:
        planes: with positions and directions.
        names: of the files or frames, for messages.
        where: the folder or file, for messages.
        keep_descending: leave slices that come in descending order as they come; the grid is then left-handed.

    Raises:
        InvalidArgument: two orientations, two slices in one place, a missing slice, a tilted gantry.
    """
    first = planes[0]
    assert first.directions is not None
    for plane, name in zip(planes, names, strict=True):
        if plane.position is None or plane.directions is None:
            raise InvalidArgument(
                f"series: got no position or orientation in {name} of {where}, expected both in every slice; "
                "leave that file out"
            )
        same = np.allclose(plane.directions, first.directions, atol=1e-3)
        if not same or not np.allclose(_spacings(plane), _spacings(first), rtol=1e-3):
            raise InvalidArgument(
                f"series: got slices of different orientation or spacing in {where} ({names[0]}, {name}), "
                "expected parallel ones; move localizers and reformats to a folder of their own"
            )
    normal = np.cross(first.directions[0], first.directions[1])
    positions = np.array([plane.position for plane in planes])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    step = _even_step(steps, [names[k] for k in order], along[order], where) if len(planes) > 1 else 0.0
    _check_tilt(positions[order] - positions[order[0]], normal, min(_spacings(first)), step, where)
    z_spacing = float((along[order[-1]] - along[order[0]]) / (len(planes) - 1)) if step else first.thickness or 1.0
    if keep_descending and len(order) > 1 and bool((np.diff(order) < 0).all()):
        order, normal = order[::-1], -normal
    origin = positions[order[0]]
    return Stack(
        order=tuple(int(k) for k in order),
        along=tuple(float(along[k]) for k in order),
        spacing=(first.column_spacing, first.row_spacing, z_spacing),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=np.column_stack([first.directions[0], first.directions[1], normal]),
    )


def _spacings(plane: Plane) -> tuple[float, float]:
    return plane.column_spacing, plane.row_spacing


def _even_step(steps: NDArray[np.float64], names: list[str], along: NDArray[np.float64], where: str) -> float:
    twins = np.flatnonzero(steps < 0.01)
    if len(twins):
        k = int(twins[0])
        raise InvalidArgument(
            f"series: got {len(twins)} pairs of slices in one place in {where}, first {names[k]} and {names[k + 1]} at "
            f"{along[k]:.2f} mm, expected one slice per position; separate the phases or repeats into folders"
        )
    # The low middle: of a set with gaps, the smaller step is the true one.
    step = float(np.sort(steps)[(len(steps) - 1) // 2])
    gaps = np.flatnonzero(np.abs(steps - step) > max(_UNEVEN * step, 0.01))
    if len(gaps):
        k = int(gaps[0])
        missing = round(steps[k] / step) - 1
        guess = f"about {missing} missing" if missing > 0 else "closer than the others"
        raise InvalidArgument(
            f"series: got a step of {steps[k]:.2f} mm between {names[k]} ({along[k]:.2f} mm) and {names[k + 1]} "
            f"({along[k + 1]:.2f} mm) in {where}, expected {step:.2f} mm ({guess}; {len(gaps)} such steps); "
            "restore the slices or resample the series"
        )
    drift = np.abs(along - np.linspace(along[0], along[-1], len(along)))
    if float(drift.max()) > 0.5 * step:
        k = int(drift.argmax())
        raise InvalidArgument(
            f"series: got steps that add up to {drift[k]:.2f} mm off an even grid at {names[k]} ({along[k]:.2f} mm) in "
            f"{where}, expected at most half a step of {step:.2f} mm; resample the series"
        )
    return step


def _check_tilt(
    offsets: NDArray[np.float64], normal: NDArray[np.float64], pixel: float, step: float, where: str
) -> None:
    if not step:
        return
    sideways = offsets - np.outer(offsets @ normal, normal)
    worst = float(np.linalg.norm(sideways, axis=1).max())
    if worst > 0.5 * pixel:
        angle = np.degrees(np.arctan2(worst, float(np.abs(offsets @ normal).max())))
        raise InvalidArgument(
            f"series: got slices that shift sideways by up to {worst:.1f} mm ({angle:.1f} degrees) in {where}, "
            "expected a straight stack; correct the gantry tilt first"
        )
