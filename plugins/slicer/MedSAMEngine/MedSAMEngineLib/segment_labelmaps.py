# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Masks into a segmentation node and back: only the changed part of a segment's labelmap is written.

Writing whole labelmaps made earlier plugins slow. A segment's labelmap gets the extent of the volume at its first mask,
or the union of both where the editor has drawn beyond the volume; from then on a box of it is written in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from medsam_engine import InvalidArgument
from medsam_engine.session import VoxelBox
from MedSAMEngineLib.volume_geometry import ijk_to_ras

NAME = "Binary labelmap"  # vtkSegmentationConverter's, of the representation that segments are edited in
REFERENCE_GEOMETRY = "Reference image geometry"  # likewise, of the grid that surfaces are converted to


def prepare(segmentation: Any, volume: Any) -> None:
    """Makes a segmentation node ready for labelmaps on the volume's grid, under its parent transform.

    An empty node gets both. A node that holds segments must have both already, and is never moved; other
    representations than labelmaps, such as closed surfaces, are converted to labelmaps on that grid.

    Raises:
        InvalidArgument: the node holds a segment on another grid or under another transform, or one that cannot be
            converted; the node is as it was before.
    """
    inner = segmentation.GetSegmentation()
    source = inner.GetSourceRepresentationName()
    ids = [inner.GetNthSegmentID(number) for number in range(inner.GetNumberOfSegments())]
    held = [each for each in ids if _has_points(inner.GetSegment(each).GetRepresentation(source))]
    if not held:
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        segmentation.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        inner.SetSourceRepresentationName(NAME)
        return
    _check_parent(segmentation, held[0], volume)
    if source == NAME:
        check_grids(segmentation, held, volume)
    else:
        _convert(segmentation, held, volume)


def check_grids(segmentation: Any, ids: list[str], volume: Any) -> None:
    """Refuses segments that are not on the volume's grid under its parent transform; an empty one has no grid.

    Raises:
        InvalidArgument: as above, or a segment is gone.
    """
    for each in ids:
        _check_parent(segmentation, each, volume)
        image = _segment(segmentation, each).GetRepresentation(NAME)
        if image is not None and not image.IsEmpty():
            _check_grid(image, segmentation, each, volume)


def write(segmentation: Any, segment_id: str, volume: Any, part: NDArray[np.bool_], box: VoxelBox) -> None:
    """Writes a part of a mask, that of a box x0, y0, z0, x1, y1, z1 with inclusive ends, as Session.mask gives it.

    Raises:
        InvalidArgument: the segment is gone, or on another grid than the volume.
    """
    image = _labelmap(segmentation, segment_id, volume)
    label = segmentation.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    extent = [box[axis + 3 * end] for axis in range(3) for end in range(2)]
    _values(image)[_part(extent, image.GetExtent())] = part * label
    image.GetPointData().GetScalars().Modified()
    image.Modified()


def read(segmentation: Any, segment_id: str, volume: Any) -> NDArray[np.bool_]:
    """The mask of a segment in the whole volume, (D, H, W).

    Raises:
        InvalidArgument: as `write`.
    """
    segment = _segment(segmentation, segment_id)
    dimensions = volume.GetImageData().GetDimensions()
    mask = np.zeros(dimensions[::-1], np.bool_)
    image = segment.GetRepresentation(NAME)
    if image is None or image.IsEmpty():
        return mask
    _check_grid(image, segmentation, segment_id, volume)
    extent = image.GetExtent()
    # What an effect of the editor has drawn beyond the volume has no place in its session; it stays in the labelmap.
    pairs = zip(extent, volume.GetImageData().GetExtent(), (max, min) * 3, strict=True)
    common = [inner(own, volumes) for own, volumes, inner in pairs]
    if all(common[2 * axis] <= common[2 * axis + 1] for axis in range(3)):
        mask[_part(common, (0,) * 6)] = _values(image)[_part(common, extent)] == segment.GetLabelValue()
    return mask


def changed_at(segmentation: Any, segment_id: str) -> int:
    """A number that grows when the segment's labelmap changes."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    image = segment.GetRepresentation(NAME) if segment is not None else None
    return 0 if image is None else int(image.GetMTime())


def _labelmap(segmentation: Any, segment_id: str, volume: Any) -> Any:
    """The segment's own labelmap, of the volume's extent at least; made or enlarged where it is not."""
    segment = _segment(segmentation, segment_id)
    segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)  # several segments may share one
    image = segment.GetRepresentation(NAME)
    extent = volume.GetImageData().GetExtent()
    held = image is not None and not image.IsEmpty()
    if held:
        _check_grid(image, segmentation, segment_id, volume)
        pairs = zip(image.GetExtent(), extent, (min, max) * 3, strict=True)
        extent = tuple(outer(own, volumes) for own, volumes, outer in pairs)
        if image.GetExtent() == extent:
            return image
    made = slicer.vtkOrientedImageData()
    made.SetExtent(extent)
    made.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    made.SetGeometryFromImageToWorldMatrix(matrix)
    _values(made)[...] = 0
    if held:
        _values(made)[_part(image.GetExtent(), extent)] = _values(image) == segment.GetLabelValue()
    segment.SetLabelValue(1)
    segment.AddRepresentation(NAME, made)
    return made


def _part(extent: Sequence[int], of: Sequence[int]) -> tuple[slice, ...]:
    """An extent x0, x1, y0, y1, z0, z1 as a part of an array [z, y, x] whose first voxel is the first of another."""
    return tuple(slice(extent[2 * axis] - of[2 * axis], extent[2 * axis + 1] + 1 - of[2 * axis]) for axis in (2, 1, 0))


def _segment(segmentation: Any, segment_id: str) -> Any:
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise InvalidArgument(f"segment {segment_id!r}: it is not in {segmentation.GetName()!r}; choose another one")
    return segment


def _has_points(representation: Any) -> bool:
    """Whether there is anything in a labelmap or a surface; both are vtkDataSet."""
    return representation is not None and representation.GetNumberOfPoints() > 0


def _convert(segmentation: Any, ids: list[str], volume: Any) -> None:
    """Makes labelmaps the source representation. The labelmaps are checked before the surfaces are given up."""
    inner = segmentation.GetSegmentation()
    parameter, role = REFERENCE_GEOMETRY, segmentation.GetReferenceImageGeometryReferenceRole()
    before = inner.GetConversionParameter(parameter), segmentation.GetNodeReferenceID(role)
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    try:
        if not inner.CreateRepresentation(NAME, True):  # True: also where there is one on another grid
            raise InvalidArgument(
                f"segmentation {segmentation.GetName()!r}: got {inner.GetSourceRepresentationName()!r}, which could "
                "not be converted to labelmaps; convert it in the module Segmentations"
            )
        check_grids(segmentation, ids, volume)
    except InvalidArgument:
        inner.RemoveRepresentation(NAME)  # what the source makes again on demand
        inner.SetConversionParameter(parameter, before[0])
        segmentation.SetNodeReferenceID(role, before[1])
        raise
    if not segmentation.SetSourceRepresentationToBinaryLabelmap():
        raise InvalidArgument(
            f"segmentation {segmentation.GetName()!r}: could not be switched to labelmaps; switch it in the module "
            "Segmentations"
        )


def _check_parent(segmentation: Any, segment_id: str, volume: Any) -> None:
    if segmentation.GetTransformNodeID() != volume.GetTransformNodeID():
        raise InvalidArgument(
            f"segment {segment_id!r}: it lies under another transform than volume {volume.GetName()!r}, expected the "
            "same one; put both under one transform, or begin a new segmentation"
        )


def _check_grid(image: Any, segmentation: Any, segment_id: str, volume: Any) -> None:
    _check_parent(segmentation, segment_id, volume)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    found = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    if not np.allclose(found, ijk_to_ras(volume), rtol=1e-5, atol=1e-4):
        raise InvalidArgument(
            f"segment {segment_id!r}: it lies on another grid than volume {volume.GetName()!r}, expected the same one; "
            "begin a new segmentation"
        )


def _values(image: Any) -> NDArray[np.generic]:
    columns, rows, slices = image.GetDimensions()
    return np.asarray(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(slices, rows, columns))
