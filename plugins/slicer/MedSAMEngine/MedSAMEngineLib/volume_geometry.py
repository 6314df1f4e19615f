# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A volume node's voxels, and world coordinates as indices of them.

World is RAS in mm. The node's matrix goes from ijk to RAS, and a parent transform, linear or not, from there to world.
Indices are i, j, k with voxel centers at integers; arrays are [k, j, i], so that axis 0 of an array is k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import ArrayLike, NDArray
from vtk.util.numpy_support import vtk_to_numpy

from medsam_engine import InvalidArgument


def voxels(volume: Any) -> NDArray[np.generic]:
    """The values as Session takes them: (D, H, W), or (H, W, 3) of a color image.

    A view of the node's memory, not a copy.

    Raises:
        InvalidArgument: the node has no voxels, or several values per voxel that are no color image.
    """
    image = volume.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InvalidArgument(f"volume {volume.GetName()!r}: got no voxels, expected a loaded volume")
    columns, rows, slices = image.GetDimensions()
    components = image.GetNumberOfScalarComponents()
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    if components == 1 and columns == 3:
        raise InvalidArgument(
            f"volume {volume.GetName()!r}: got 3 columns, which would be taken for an RGB image; expected more columns"
        )
    if components == 1:
        return np.asarray(values.reshape(slices, rows, columns))
    if components == 3 and slices == 1:
        return np.asarray(values.reshape(rows, columns, 3))
    raise InvalidArgument(
        f"volume {volume.GetName()!r}: got {slices} slices of {components} values per voxel, expected a gray volume or "
        "one RGB image; convert it with the module Vector to Scalar Volume"
    )


def spacing(volume: Any) -> list[float]:
    """The distance of voxels along i, j, k in mm, from the node's matrix."""
    return [float(step) for step in np.linalg.norm(ijk_to_ras(volume)[:3, :3], axis=0)]


def ijk_to_ras(volume: Any) -> NDArray[np.float64]:
    """The node's own matrix, (4, 4), without its parent transform."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def world_to_ijk(volume: Any, points: ArrayLike) -> NDArray[np.float64]:
    """World coordinates (N, 3) as voxel coordinates i, j, k, (N, 3), fractions and all."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, volume.GetParentTransformNode(), transform)
    ras = np.array([transform.TransformPoint(*map(float, point)) for point in np.asarray(points).reshape(-1, 3)])
    inverse = np.linalg.inv(ijk_to_ras(volume))
    return np.asarray(ras @ inverse[:3, :3].T + inverse[:3, 3])


def through_plane_axis(volume: Any) -> int:
    """The axis of the array across the slices that were acquired: that of the largest spacing; k where several are."""
    steps = spacing(volume)[::-1]
    return int(np.argmax(np.round(steps, 3)))
