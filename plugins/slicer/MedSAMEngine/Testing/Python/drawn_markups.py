# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Markups as a user places them, by voxel coordinates and the cases' matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from volume_matrices import CASES, vtk_matrix, world


def markup(scene: Any, kind: str, points: NDArray[np.float64]) -> Any:
    node = scene.AddNewNodeByClass(f"vtkMRMLMarkups{kind}Node", "drawn")
    for point in points:
        node.AddControlPointWorld(vtk.vtkVector3d(*point))
    return node


def roi(scene: Any, case: str, low: tuple[float, ...], high: tuple[float, ...]) -> Any:
    """A region of interest along the volume's axes, between two voxel coordinates i, j, k."""
    matrix, parent = CASES[case]
    whole = matrix if parent is None else parent @ matrix
    frame = np.eye(4)
    frame[:3, :3] = whole[:3, :3] / np.linalg.norm(whole[:3, :3], axis=0)
    frame[:3, 3] = world(case, (np.array(low) + high) / 2)[0]
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "drawn")
    node.SetSize(*((np.array(high) - low) * np.linalg.norm(whole[:3, :3], axis=0)))
    if np.linalg.det(frame[:3, :3]) < 0:
        frame[:3, 0] *= -1  # a region is symmetrical
    node.SetAndObserveObjectToNodeMatrix(vtk_matrix(frame))
    return node
