# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The boxes of an RTSTRUCT's regions of interest (PS3.3 C.8.8.5, C.8.8.6) on the slices of an image."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import cut
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.polygon_extent import polygon_extent
from medsam_engine.io.dicom.references import (
    check_frame_of_reference,
    instances,
    note_other_series,
    referred_slices,
)
from medsam_engine.io.dicom.slice_grid import SliceGrid
from medsam_engine.io.label_names import cleaned, dicom_name
from medsam_engine.io.named_boxes import Extents, NamedBoxes, default_name

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_CLOSED, _XOR = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"
_ON_SLICE = 0.1  # of a step: contours this far from their slice are still said to lie on it
_LARGEST = 1e5  # mm


@dataclass(frozen=True)
class _Ring:
    """One closed contour: its slice, its points (N, 2) in columns and rows of it, and mm along the normal."""

    slice: int
    points: NDArray[np.float64]
    along: float


def contour_boxes(dataset: Any, grid: SliceGrid, path: Path) -> NamedBoxes:
    """The box of each ROI with a closed contour on the image: the voxels whose center is in or on a contour.

    Its label is the ROI number, its name the ROI name. A contour belongs to the nearest slice, at most half a step
    away. A hole drawn as a contour of its own or by a keyhole lies within its outline, so it has no part in a box;
    contours of the type CLOSEDPLANAR_XOR in one plane are combined by the even-odd rule.

    Raises:
        InvalidArgument: damaged, of another frame of reference, an image without a position, contours that do not lie
            in the image's planes, or nothing in it.
    """
    if not grid.image.positioned or not grid.image.spaced:
        raise InvalidArgument(
            f"labels: got contours in mm in {path} for {grid.image.path}, which has no position or pixel spacing, "
            "expected an image that lies in space; give boxes in pixels"
        )
    notes: list[str] = []
    names = roi_names(dataset, path)
    for item in dataset.get("StructureSetROISequence") or []:
        uid = str(item.get("ReferencedFrameOfReferenceUID") or dataset.get("FrameOfReferenceUID") or "")
        roi = f"ROI {int(item.ROINumber)} ({names[int(item.ROINumber)]})"
        check_frame_of_reference(uid, roi, grid, path, notes)
    _note_series(dataset, grid, path, notes)
    labels = {number: number for number in names}
    if min(labels, default=1) < 1:
        labels = {number: k for k, number in enumerate(names, start=1)}
        notes.append(f"{path.name}: ROI numbers below 1 (0 is the background); labels count the ROIs from 1 instead")
    extents = Extents()
    left_out: Counter[str] = Counter()
    seen: set[int] = set()
    for item in dataset.get("ROIContourSequence") or []:
        number = int(item.ReferencedROINumber)
        if number not in names or number in seen:
            raise InvalidArgument(
                f"labels: got contours of ROI {number} twice or without a StructureSetROISequence item in {path}, "
                "expected one item of each; the file is damaged"
            )
        seen.add(number)
        _add_roi(item, labels[number], f"ROI {number} ({names[number]})", grid, path, extents, left_out)
    notes += [f"{path.name}: {count} {what}" for what, count in left_out.items()]
    return extents.boxes({labels[number]: name for number, name in names.items()}, notes, grid.image, path)


def roi_names(dataset: Any, path: Path) -> dict[int, str]:
    """ROIName by ROI number, in the file's order. InvalidArgument: a number twice."""
    names: dict[int, str] = {}
    for item in dataset.get("StructureSetROISequence") or []:
        number = int(item.ROINumber)
        if number in names:
            raise InvalidArgument(f"labels: got ROI number {number} twice in {path}, expected it once; renumber")
        names[number] = dicom_name(item.get("ROIName")) or default_name(number)
    return names


def _note_series(dataset: Any, grid: SliceGrid, path: Path, notes: list[str]) -> None:
    series = [
        str(referred.get("SeriesInstanceUID") or "")
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in frame.get("RTReferencedStudySequence") or []
        for referred in study.get("RTReferencedSeriesSequence") or []
    ]
    note_other_series(series, grid, path, notes)


def _add_roi(
    item: Any, label: int, roi: str, grid: SliceGrid, path: Path, extents: Extents, left_out: Counter[str]
) -> None:
    groups: list[list[_Ring]] = []
    combined: dict[float, list[_Ring]] = {}  # those of the groups that further contours belong to, by mm
    rings: list[_Ring] = []
    for k, contour in enumerate(item.get("ContourSequence") or [], start=1):
        kind = str(contour.get("ContourGeometricType") or "")
        if kind not in (_CLOSED, _XOR):
            left_out[f"contours of {roi} left out: {cut(cleaned(kind), 20) or 'no type'}, expected {_CLOSED}"] += 1
            continue
        ring = _ring(contour, f"contour {k} of {roi}", grid, path)
        if ring is None:
            left_out[f"contours of {roi} left out: beyond the first or last slice of the image"] += 1
            continue
        rings.append(ring)
        place = round(ring.along, 2)
        if kind == _XOR and place in combined:
            combined[place].append(ring)
        else:
            groups.append([ring])
            if kind == _XOR:
                combined[place] = groups[-1]
        behind = abs(ring.along - float(grid.along(grid.positions[ring.slice : ring.slice + 1])[0]))
        if behind > _ON_SLICE * grid.step:
            left_out[f"contours of {roi} lie between slices; each counts for the nearest one"] += 1
    found = [polygon_extent([ring.points for ring in group], grid.size) for group in groups]
    met = [(group, extent) for group, extent in zip(groups, found, strict=True) if extent]
    for group, (x0, y0, x1, y1) in met:
        extents.add(label, (x0, y0, group[0].slice), (x1, y1, group[0].slice))
    if rings and not met:
        _add_small(rings, label, roi, grid, extents, left_out)
    beyond = sum(_reaches_out(ring, grid) for ring in rings)
    if beyond:
        left_out[f"contours of {roi} reach beyond the image's sides; its box ends there"] += beyond


def _add_small(
    rings: list[_Ring], label: int, roi: str, grid: SliceGrid, extents: Extents, left_out: Counter[str]
) -> None:
    """An object so thin that it lies between voxel centers gets the voxels that its contours run through."""
    for ring in rings:
        low, high = np.rint(ring.points.min(axis=0)), np.rint(ring.points.max(axis=0))
        if (high < 0).any() or (low >= grid.size).any():
            continue
        x0, y0 = np.maximum(low, 0).astype(int)
        x1, y1 = np.minimum(high, np.array(grid.size) - 1).astype(int)
        extents.add(label, (int(x0), int(y0), ring.slice), (int(x1), int(y1), ring.slice))
        left_out[f"contours of {roi} hold no voxel center; the voxels that they run through are taken"] += 1


def _reaches_out(ring: _Ring, grid: SliceGrid) -> bool:
    return bool((ring.points < -0.5).any() or (ring.points > np.array(grid.size) - 0.5).any())


def _ring(contour: Any, what: str, grid: SliceGrid, path: Path) -> _Ring | None:
    """A contour on its slice; None beyond the ends of the image."""
    points = _points(contour, what, path)
    depths = grid.along(points)
    if float(np.ptp(depths)) > _ON_SLICE * grid.step:
        raise InvalidArgument(
            f"labels: got {what} in {path}, which spans {np.ptp(depths):.2f} mm across the slices of "
            f"{grid.image.path}, expected contours in the planes of its slices; name the series that they were drawn on"
        )
    along = float(depths.mean())
    k, behind = grid.nearest(along)
    if abs(behind) > 0.5 * grid.step * (1 + 1e-3) + 1e-3:
        first, last = sorted(grid.along(grid.positions[[0, -1]]))
        if along < first or along > last:
            return None
    referred = referred_slices(instances(contour.get("ContourImageSequence")), grid)
    places = [float(grid.along(grid.positions[n : n + 1])[0]) for n in referred]
    if places and min(abs(place - along) for place in places) > grid.step:
        raise InvalidArgument(
            f"labels: got {what} in {path} at slice {k} of {grid.image.path}, which refers to slice {min(referred)}, "
            "expected one place; the file is damaged"
        )
    return _Ring(k, grid.in_plane(points, k), along)


def _words(contour: Any) -> list[Any]:
    """The numbers of ContourData as they stand in the file: pydicom would keep an object of 200 bytes for each."""
    if "ContourData" not in contour:
        return []
    value = contour.get_item("ContourData").value
    if isinstance(value, bytes):
        text = value.decode("ascii", "replace").strip(" \0")
        return text.replace("_", "?").split("\\") if text else []  # Python takes 1_000 for a number
    return list(value or [])


def _points(contour: Any, what: str, path: Path) -> NDArray[np.float64]:
    try:
        values = np.array([float(word) for word in _words(contour)])
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"labels: got {what} in {path}, expected numbers; correct its ContourData") from error
    claimed = contour.get("NumberOfContourPoints")
    if not len(values) or len(values) % 3 or (claimed is not None and 3 * int(claimed) != len(values)):
        raise InvalidArgument(
            f"labels: got {len(values)} numbers for {claimed} points of {what} in {path}, expected three per point; "
            "the file is damaged"
        )
    if not np.isfinite(values).all() or np.abs(values).max() > _LARGEST:
        raise InvalidArgument(f"labels: got {what} in {path}, expected coordinates in mm within 100 m; it is damaged")
    return values.reshape(-1, 3)
