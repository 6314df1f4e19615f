# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A scene of slicer-core without Slicer, and volumes in it under every kind of matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from numpy.typing import NDArray
from volume_matrices import SHAPE, TINY, vtk_matrix
from vtk.util.numpy_support import numpy_to_vtk

from medsam_engine import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(TINY, cache_dir="none")


@pytest.fixture
def scene() -> Iterator[Any]:
    made = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(made)  # registers what makes segments
    yield made
    made.Clear(True)


@pytest.fixture
def values() -> NDArray[np.int16]:
    made: NDArray[np.int16] = np.random.default_rng(3).integers(0, 60, SHAPE).astype(np.int16)
    made[1:4, 5:14, 6:19] += 150
    return made


@pytest.fixture
def add(scene: Any) -> Callable[..., Any]:
    """Adds a volume node, given values, the matrix from ijk to RAS, and a parent transform or None."""

    def made(
        values: NDArray[Any], matrix: NDArray[Any], parent: NDArray[Any] | None = None, components: int = 1
    ) -> Any:
        name = "vtkMRMLScalarVolumeNode" if components == 1 else "vtkMRMLVectorVolumeNode"
        node = scene.AddNewNodeByClass(name, "scan")
        image = vtk.vtkImageData()
        image.SetDimensions(*values.shape[2::-1])
        flat = numpy_to_vtk(np.ascontiguousarray(values).reshape(-1, components), deep=True)
        image.GetPointData().SetScalars(flat)
        node.SetAndObserveImageData(image)
        node.SetIJKToRASMatrix(vtk_matrix(matrix))
        if parent is not None:
            transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "parent")
            transform.SetMatrixTransformToParent(vtk_matrix(parent))
            node.SetAndObserveTransformNodeID(transform.GetID())
        return node

    return made


@pytest.fixture
def segmentation(scene: Any) -> Any:
    return scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
