# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Markups as prompts: which plane they lie in, and where.

A region of interest is a box: of one plane where it is at most one voxel thick, of the volume otherwise. A line is the
longest diameter, an open curve a scribble, a closed curve an outline, and each point of a list a click. A curve is the
line that Slicer draws, a spline by default, and not the polygon of its control points.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from medsam_engine import InvalidArgument
from MedSAMEngineLib.volume_geometry import through_plane_axis, voxels, world_to_ijk


class PlanePoints(NamedTuple):
    """Points in a plane of the array.

    Attributes:
        points: (N, 2) as Session counts them, x first.
        plane: what a prompt of Session is given to name the plane: `axis` and `slice`; empty for an image.
    """

    points: NDArray[np.float64]
    plane: dict[str, int]


def placed_points(markup: Any) -> dict[str, NDArray[np.float64]]:
    """World coordinates (3,) of the points that were placed, by their ID, which stays when other points go."""
    points = {}
    for number in range(markup.GetNumberOfControlPoints()):
        if markup.GetNthControlPointPositionStatus(number) != markup.PositionDefined:
            continue  # the one that still hangs on the mouse
        point = [0.0, 0.0, 0.0]
        markup.GetNthControlPointPositionWorld(number, point)
        points[str(markup.GetNthControlPointID(number))] = np.array(point)
    return points


def drawn_points(markup: Any) -> NDArray[np.float64]:
    """World coordinates (N, 3) along the line that a markup shows: of a curve, every point of it, else those placed.

    A closed curve does not repeat its first point at the end.

    Raises:
        InvalidArgument: a point of a curve is still being placed.
    """
    placed = np.array(list(placed_points(markup).values())).reshape(-1, 3)
    if not markup.IsA("vtkMRMLMarkupsCurveNode"):
        return placed
    states = [markup.GetNthControlPointPositionStatus(each) for each in range(markup.GetNumberOfControlPoints())]
    if markup.PositionPreview in states:  # the drawn line goes through it, too
        raise InvalidArgument(
            f"markup {markup.GetName()!r}: got a point that is still being placed, expected a finished curve; place "
            "the point or press Escape"
        )
    closed = bool(markup.GetCurveClosed())
    if len(placed) < (3 if closed else 2):
        return placed  # no line yet
    line: NDArray[np.float64] = vtk_to_numpy(markup.GetCurvePointsWorld().GetData()).astype(np.float64)
    return line[:-1] if closed and np.allclose(line[0], line[-1], rtol=0, atol=1e-3) else line


def plane_points(volume: Any, world: NDArray[np.float64], axis: int | None = None) -> PlanePoints:
    """World points as points of the one plane in which they lie.

    Args:
        volume: the volume node.
        world: (N, 3).
        axis: of the array, 0 = k: the plane's axis where several planes hold the points; None = across the slices that
            were acquired.

    Raises:
        InvalidArgument: no plane holds them all, or a point lies outside of the volume.
    """
    ijk = inside(volume, world)
    shape = voxels(volume).shape
    if shape[-1] == 3:
        return PlanePoints(ijk[:, :2], {})
    numbers = np.rint(ijk).astype(int)
    holding = [each for each in range(3) if len(set(numbers[:, 2 - each])) == 1]
    if not holding:
        raise InvalidArgument(
            "markup: got points on several planes along each axis of the volume, expected points on one plane; rotate "
            "the slice views to the volume's planes"
        )
    wanted = through_plane_axis(volume) if axis is None else axis
    if wanted not in holding:
        wanted = holding[0]
    across = [each for each in range(3) if each != 2 - wanted]
    return PlanePoints(ijk[:, across], {"axis": wanted, "slice": int(numbers[0, 2 - wanted])})


def inside(volume: Any, world: NDArray[np.float64]) -> NDArray[np.float64]:
    """Voxel coordinates (N, 3) of world points; those in the outer half of an outer voxel move to its center."""
    if len(world) == 0:
        raise InvalidArgument("markup: got no point, expected at least one that is placed")
    ijk = world_to_ijk(volume, world)
    last = np.array(volume.GetImageData().GetDimensions()) - 1
    # Half a voxel in every direction belongs to the volume; half a thousandth is what transforms leave of 0.5.
    if (ijk < -0.5005).any() or (ijk > last + 0.5005).any():
        raise InvalidArgument(
            f"markup: got a point at voxel {np.round(ijk, 1).tolist()}, expected 0 to {last.tolist()}; place it inside "
            f"of volume {volume.GetName()!r}"
        )
    return np.asarray(np.clip(ijk, 0, last))


def roi_box(volume: Any, roi: Any) -> tuple[list[int], dict[str, Any]]:
    """A region of interest as Session's box: four numbers and a plane, or six numbers, cut to the volume.

    A region that is turned against the volume becomes the box around its corners.

    Raises:
        InvalidArgument: it lies outside of the volume.
    """
    size = np.array(roi.GetSize())
    matrix = roi.GetObjectToWorldMatrix()
    signs = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1).T
    world = np.array([matrix.MultiplyPoint((*(sign * size), 1.0))[:3] for sign in signs])
    ijk = world_to_ijk(volume, world)
    low, high = ijk.min(axis=0), ijk.max(axis=0)
    last = np.array(volume.GetImageData().GetDimensions()) - 1
    if (high < -0.5).any() or (low > last + 0.5).any():
        raise InvalidArgument(f"ROI {roi.GetName()!r}: it lies outside of volume {volume.GetName()!r}; move it there")
    thin = high - low <= 1.001  # what matrices leave of 1
    ends = np.rint(np.clip([low, high], 0, last)).astype(int)
    if voxels(volume).shape[-1] == 3:
        return [int(number) for number in ends[:, :2].ravel()], {}
    if last.min() > 0 and not thin.any():
        return [int(number) for number in ends.ravel()], {}
    flat = int(np.argmin(np.where(thin, high - low, np.inf))) if thin.any() else int(np.argmin(last))
    across = [each for each in range(3) if each != flat]
    middle = int(np.rint(np.clip((low[flat] + high[flat]) / 2, 0, last[flat])))
    return [int(number) for number in ends[:, across].ravel()], {"axis": 2 - flat, "slice": middle}
