# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The boxes of a DICOM SEG's segments (PS3.3 C.8.20) on the grid of an image, frame by frame.

highdicom reads a SEG into arrays of its own geometry, all segments at once. A box needs neither: each frame is put onto
the slice where its own position says that it lies, and only its extent is kept. So overlapping segments, frames in any
order, left-out empty frames and hundreds of segments cost no more than one frame of memory.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import cut
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.boxes import boxes_from_labels
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.decoding import decoded_frames
from medsam_engine.io.dicom.planes import Plane, plane_of
from medsam_engine.io.dicom.references import (
    check_frame_of_reference,
    instances,
    note_other_series,
    referred_slices,
)
from medsam_engine.io.dicom.slice_grid import Instance, SliceGrid
from medsam_engine.io.dicom.tags import check_frames, functional_groups
from medsam_engine.io.label_names import cleaned, dicom_name
from medsam_engine.io.named_boxes import Extents, NamedBoxes, default_name

SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # Segmentation, Label Map Segmentation
_TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")


@dataclass(frozen=True)
class _Place:
    """Pixel (column, row) of a frame is voxel `corner` + column * `steps[0]` + row * `steps[1]` (x, y) of `slice`."""

    slice: int
    corner: NDArray[np.int64]
    steps: NDArray[np.int64]

    def extent(self, box: NDArray[np.int64]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """A box of pixels x0, y0, x1, y1 as the lowest and highest voxel x, y, z."""
        ends = np.array([self.corner + box[k : k + 2] @ self.steps for k in (0, 2)])
        (x0, y0), (x1, y1) = ends.min(axis=0), ends.max(axis=0)
        return (int(x0), int(y0), self.slice), (int(x1), int(y1), self.slice)


def seg_boxes(dataset: Any, grid: SliceGrid, path: Path, limit: ByteLimit) -> NamedBoxes:
    """The box of each segment that has a voxel; its label is the segment number, its name the segment label.

    A pixel of a fractional SEG belongs to its segment from half of MaximumFractionalValue.

    Raises:
        InvalidArgument: damaged, tiled, of another frame of reference or grid, or nothing in it.
        Unsupported: a compression for which no decoder is installed.
    """
    frames = int(dataset.get("NumberOfFrames") or 1)
    kind = str(dataset.get("SegmentationType") or "")
    _check_kind(dataset, kind, frames, path)
    notes: list[str] = []
    names = segment_names(dataset, path)
    background = {0}
    if kind == "LABELMAP":
        background |= {int(dataset.PixelPaddingValue)} if dataset.get("PixelPaddingValue") is not None else set()
    elif 0 in names:
        raise InvalidArgument(f"labels: got segment number 0 in {path}, expected 1 or more; 0 is the background")
    names = {number: name for number, name in names.items() if number not in background}
    half = _half(dataset, path) if kind == "FRACTIONAL" else 0.5
    if kind == "FRACTIONAL":
        notes.append(f"{path.name}: fractional; voxels from half of its MaximumFractionalValue are taken")
    check_frame_of_reference(str(dataset.get("FrameOfReferenceUID") or ""), "segments", grid, path, notes)
    note_other_series(
        [str(item.get("SeriesInstanceUID") or "") for item in dataset.get("ReferencedSeriesSequence") or []],
        grid, path, notes,
    )  # fmt: skip
    extents = Extents()
    for frame, pixels in enumerate(decoded_frames(dataset, path, limit)):
        place = _place(dataset, frame, grid, path)
        if kind == "LABELMAP":
            labels = np.where(np.isin(pixels, list(background)), 0, pixels)
        else:
            number = _segment_of(dataset, frame, path)
            _check_described(number, names, frame, path)
            labels = np.where(np.greater_equal(pixels, half), number, 0)
        for box, label in zip(*boxes_from_labels(labels), strict=True):
            _check_described(int(label), names, frame, path)
            low, high = place.extent(box)
            _check_inside(low, high, frame, grid, path)
            extents.add(int(label), low, high)
    return extents.boxes(names, notes, grid.image, path)


def _check_kind(dataset: Any, kind: str, frames: int, path: Path) -> None:
    if "TotalPixelMatrixColumns" in dataset or str(dataset.get("DimensionOrganizationType") or "").startswith("TILED"):
        raise InvalidArgument(
            f"labels: got a tiled (whole-slide) DICOM SEG in {path}, expected one of a volume or a single image; "
            "export its segments as a label map"
        )
    if kind not in _TYPES:
        raise InvalidArgument(
            f"labels: got the SegmentationType '{cut(cleaned(kind), 40)}' in {path}, expected {', '.join(_TYPES)}; "
            "correct the tag"
        )
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or dataset.get("PixelRepresentation"):
        raise InvalidArgument(f"labels: got colors or signed values in {path}, expected segments; the file is damaged")
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        raise InvalidArgument(
            f"labels: got no PerFrameFunctionalGroupsSequence in {path}, expected it in a DICOM SEG; "
            "the file is damaged"
        )
    check_frames(dataset, frames, path)


def segment_names(dataset: Any, path: Path) -> dict[int, str]:
    """SegmentLabel by segment number. InvalidArgument: a number twice."""
    names: dict[int, str] = {}
    for item in dataset.get("SegmentSequence") or []:
        number = int(item.SegmentNumber)
        if number in names:
            raise InvalidArgument(f"labels: got segment number {number} twice in {path}, expected it once; renumber")
        names[number] = dicom_name(item.get("SegmentLabel")) or default_name(number)
    return names


def _check_described(number: int, names: dict[int, str], frame: int, path: Path) -> None:
    if number not in names:
        raise InvalidArgument(
            f"labels: got segment number {number} in frame {frame + 1} of {path}, expected one that SegmentSequence "
            "describes; the file is damaged"
        )


def _half(dataset: Any, path: Path) -> float:
    most = int(dataset.get("MaximumFractionalValue") or 0)
    if not 1 <= most <= 255:
        raise InvalidArgument(
            f"labels: got MaximumFractionalValue {most} in the fractional {path}, expected 1 to 255; correct the tag"
        )
    return most / 2


def _segment_of(dataset: Any, frame: int, path: Path) -> int:
    for group in functional_groups(dataset, frame):
        if group.get("SegmentIdentificationSequence"):
            return int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    raise InvalidArgument(
        f"labels: got no ReferencedSegmentNumber for frame {frame + 1} of {path}, expected one; the file is damaged"
    )


def _references(dataset: Any, frame: int) -> list[Instance]:
    """What the frame was drawn on, where it lies in the same place."""
    sources = [
        source
        for group in functional_groups(dataset, frame)
        for derivation in group.get("DerivationImageSequence") or []
        for source in derivation.get("SourceImageSequence") or []
    ]
    return instances([source for source in sources if source.get("SpatialLocationsPreserved") != "NO"])


def _place(dataset: Any, frame: int, grid: SliceGrid, path: Path) -> _Place:
    referred = referred_slices(_references(dataset, frame), grid)
    plane = plane_of(dataset, frame)
    size = (int(dataset.Columns), int(dataset.Rows))
    if not grid.image.positioned:
        if len(referred) != 1 or size != grid.size:
            raise InvalidArgument(
                f"labels: got frame {frame + 1} of {path} of {size[0]}x{size[1]} pixels, which refers to "
                f"{len(referred)} slices of {grid.image.path}, expected one of {grid.size[0]}x{grid.size[1]}: the "
                "image has no position, so that references alone can place segments; write a label map"
            )
        return _Place(referred.pop(), np.zeros(2, np.int64), np.eye(2, dtype=np.int64))
    if plane.position is None or plane.directions is None or not plane.spaced:
        raise InvalidArgument(
            f"labels: got no position, orientation or spacing for frame {frame + 1} of {path}, expected all three; "
            "write a label map"
        )
    place = _on_grid(plane, size, grid)
    if place is None:
        raise InvalidArgument(
            f"labels: got frame {frame + 1} of {path} off the slices and voxels of {grid.image.path}, expected the "
            "same grid, to a tenth of a voxel; name the image that it was drawn on, or resample the segments"
        )
    if referred and place.slice not in referred:
        raise InvalidArgument(
            f"labels: got frame {frame + 1} of {path} at the position of slice {place.slice}, which refers to slice "
            f"{min(referred)} of {grid.image.path}, expected one place; the file is damaged"
        )
    return place


def _on_grid(plane: Plane, size: tuple[int, int], grid: SliceGrid) -> _Place | None:
    """Where the frame lies, if each of its pixels is a voxel's place; also for rows and columns turned or exchanged."""
    assert plane.position is not None
    assert plane.directions is not None
    edges = plane.directions * np.array([[plane.column_spacing], [plane.row_spacing]])
    counts = np.array([[0, 0], [size[0] - 1, 0], [0, size[1] - 1], [size[0] - 1, size[1] - 1]])
    corners = plane.position + counts @ edges
    tolerance = 0.1 * min(grid.image.spacing)  # as check_same_grid
    k, _ = grid.nearest(float(grid.along(corners).mean()))
    behind = grid.along(corners) - grid.along(grid.positions[k : k + 1])
    if np.abs(behind).max() > tolerance:
        # Writers that go through ITK put frames onto the even grid, from which slices of a sound series may differ.
        k = round(float(grid.along(corners).mean()) / grid.step)
        if not 0 <= k < grid.depth or np.abs(grid.along(corners) - k * grid.step).max() > tolerance:
            return None
    index = grid.in_plane(corners, k)
    steps = np.rint(grid.in_plane(plane.position + edges, k) - index[0]).astype(np.int64)
    if sorted(np.abs(steps).tolist()) != [[0, 1], [1, 0]]:
        return None
    corner = np.rint(index[0]).astype(np.int64)
    off = (corner + counts @ steps - index) * np.asarray(grid.image.spacing[:2])
    return _Place(k, corner, steps) if np.linalg.norm(off, axis=1).max() <= tolerance else None


def _check_inside(
    low: tuple[int, int, int], high: tuple[int, int, int], frame: int, grid: SliceGrid, path: Path
) -> None:
    if min(low) < 0 or high[0] >= grid.size[0] or high[1] >= grid.size[1]:
        raise InvalidArgument(
            f"labels: got voxels of frame {frame + 1} of {path} outside {grid.image.path} ({low[:2]} to {high[:2]}), "
            f"expected {grid.size[0]}x{grid.size[1]}; name the image that it was drawn on"
        )
