# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Matrices from ijk to RAS, with and without a parent transform, as scanners and users make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

TINY = Path(__file__).resolve().parents[5] / "tests" / "data" / "tiny_bundle"
SHAPE = (5, 24, 32)


def affine(linear: NDArray[np.float64], origin: tuple[float, float, float]) -> NDArray[np.float64]:
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = linear, origin
    return made


def turned(degrees: float, axis: int) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    a, b = [each for each in range(3) if each != axis]
    made = np.eye(3)
    made[a, a] = made[b, b] = np.cos(angle)
    made[a, b], made[b, a] = -np.sin(angle), np.sin(angle)
    return made


STEPS = np.diag([0.7, 0.9, 2.5])
ORIGIN = (-31.5, 12.25, 100.0)
SAGITTAL = np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])
OBLIQUE = turned(20, 0) @ turned(-35, 1) @ turned(10, 2)
PARENT = affine(turned(25, 2) @ turned(-15, 0), (5.0, -7.0, 11.0))

CASES: dict[str, tuple[NDArray[np.float64], NDArray[np.float64] | None]] = {
    "ras": (affine(STEPS, ORIGIN), None),
    "lps": (affine(np.diag([-1.0, -1, 1]) @ STEPS, ORIGIN), None),
    "flipped": (affine(np.diag([1.0, -1, -1]) @ STEPS, ORIGIN), None),
    "sagittal": (affine(SAGITTAL @ STEPS, ORIGIN), None),
    "coronal": (affine(np.array([[1.0, 0, 0], [0, 0, -1], [0, -1, 0]]) @ STEPS, ORIGIN), None),
    "oblique": (affine(OBLIQUE @ STEPS, ORIGIN), None),
    "thin slices": (affine(np.diag([2.5, 0.9, 0.3]), ORIGIN), None),
    "transformed": (affine(STEPS, ORIGIN), PARENT),
    "oblique and transformed": (affine(OBLIQUE @ STEPS, ORIGIN), PARENT),
    "mirrored by its parent": (affine(STEPS, ORIGIN), np.diag([-1.0, 1, 1, 1])),
}


def world(case: str, ijk: object) -> NDArray[np.float64]:
    """Where voxel coordinates (N, 3) lie, by the matrices alone."""
    matrix, parent = CASES[case]
    whole = matrix if parent is None else parent @ matrix
    points = np.asarray(ijk, np.float64).reshape(-1, 3)
    return np.asarray(points @ whole[:3, :3].T + whole[:3, 3])


def vtk_matrix(matrix: NDArray[Any]) -> Any:
    made = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            made.SetElement(row, column, float(matrix[row, column]))
    return made
