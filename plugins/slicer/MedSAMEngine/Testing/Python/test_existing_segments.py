# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Begin on a segmentation that holds segments already: they are kept where they are, or the session is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import vtk
from numpy.typing import NDArray
from volume_matrices import CASES, PARENT, SHAPE, STEPS, affine, vtk_matrix, world

from medsam_engine import Engine, InvalidArgument
from MedSAMEngineLib import segment_labelmaps
from MedSAMEngineLib.volume_session import VolumeSession

Add = Callable[..., Any]
SURFACE, LABELMAP = "Closed surface", "Binary labelmap"


def sphere(segmentation: Any, center: NDArray[np.float64], radius: float) -> str:
    """A segment that is a surface."""
    source = vtk.vtkSphereSource()
    source.SetCenter(*center)
    source.SetRadius(radius)
    source.SetThetaResolution(40)
    source.SetPhiResolution(40)
    source.Update()
    inner = segmentation.GetSegmentation()
    inner.SetSourceRepresentationName(SURFACE)
    segment: str = inner.AddEmptySegment("", "surface")
    inner.GetSegment(segment).AddRepresentation(SURFACE, source.GetOutput())
    return segment


@pytest.mark.parametrize("case", ["ras", "oblique"])
def test_a_surface_becomes_the_labelmap_of_its_voxels(
    add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine, case: str
) -> None:
    volume = add(values, *CASES[case])
    center = world(case, [16, 12, 2])[0]
    segment = sphere(segmentation, center, 4.0)
    VolumeSession(engine, volume, segmentation)
    assert segmentation.GetSegmentation().GetSourceRepresentationName() == LABELMAP
    found = segment_labelmaps.read(segmentation, segment, volume)
    k, j, i = np.indices(SHAPE).reshape(3, -1)
    distance = np.linalg.norm(world(case, np.stack([i, j, k], 1)) - center, axis=1).reshape(SHAPE)
    assert found[distance < 3.9].all()
    assert not found[distance > 4.1].any()


def test_a_surface_that_cannot_become_one_stays(
    add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    volume = add(values, *CASES["ras"])
    segment = sphere(segmentation, world("ras", [16, 12, 2])[0], 4.0)
    inner = segmentation.GetSegmentation()
    inner.SetConversionParameter("Oversampling factor", "2")  # of which the labelmap would have a grid of its own
    with pytest.raises(InvalidArgument, match="another grid"):
        VolumeSession(engine, volume, segmentation)
    assert inner.GetSourceRepresentationName() == SURFACE
    assert inner.GetSegment(segment).GetRepresentation(SURFACE).GetNumberOfPoints() > 100
    assert inner.GetSegment(segment).GetRepresentation(LABELMAP) is None
    assert inner.GetConversionParameter(segment_labelmaps.REFERENCE_GEOMETRY) == ""
    assert segmentation.GetNodeReferenceID("referenceImageGeometryRef") is None


@pytest.mark.parametrize("surface", [True, False])
def test_segments_under_a_transform_of_their_own_are_not_moved(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine, surface: bool
) -> None:
    volume = add(values, *CASES["ras"])
    if surface:
        sphere(segmentation, world("ras", [16, 12, 2])[0], 4.0)
    else:
        segment_labelmaps.prepare(segmentation, volume)
        segment = segmentation.GetSegmentation().AddEmptySegment("", "mask")
        segment_labelmaps.write(segmentation, segment, volume, np.ones(SHAPE, bool), (0, 0, 0, 31, 23, 4))
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(vtk_matrix(PARENT))
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InvalidArgument, match="another transform"):
        VolumeSession(engine, volume, segmentation)
    assert segmentation.GetTransformNodeID() == transform.GetID()
    assert segmentation.GetSegmentation().GetSourceRepresentationName() == (SURFACE if surface else LABELMAP)


def test_segments_on_another_grid_are_refused_at_once(
    add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    first = add(values, *CASES["ras"])
    VolumeSession(engine, first, segmentation)
    inner = segmentation.GetSegmentation()
    segment = inner.AddEmptySegment("", "mask")
    VolumeSession(engine, add(values, *CASES["oblique"]), segmentation)  # an empty segment has no grid
    VolumeSession(engine, first, segmentation)
    segment_labelmaps.write(segmentation, segment, first, np.ones(SHAPE, bool), (0, 0, 0, 31, 23, 4))
    geometry = inner.GetConversionParameter(segment_labelmaps.REFERENCE_GEOMETRY)
    shifted = add(values, affine(STEPS, (-31.5, 12.25, 103.0)))
    with pytest.raises(InvalidArgument, match="another grid"):
        VolumeSession(engine, shifted, segmentation)
    assert inner.GetConversionParameter(segment_labelmaps.REFERENCE_GEOMETRY) == geometry
    assert segment_labelmaps.read(segmentation, segment, first).all()
    VolumeSession(engine, first, segmentation)
