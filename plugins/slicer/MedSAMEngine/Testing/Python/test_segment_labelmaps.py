# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What is written into segments, and what the Segment Editor has drawn there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from drawn_markups import roi
from numpy.typing import NDArray
from volume_matrices import CASES, SHAPE, vtk_matrix
from vtk.util.numpy_support import vtk_to_numpy

from medsam_engine import Engine, InvalidArgument
from MedSAMEngineLib import segment_labelmaps
from MedSAMEngineLib.volume_session import VolumeSession

Add = Callable[..., Any]


def test_steps_write_what_the_session_has(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    """A random walk of boxes, undo, redo and resets of two segments; every segment is the session's mask."""
    volume = add(values, *CASES["oblique"])
    session = VolumeSession(engine, volume, segmentation)
    ids = [segmentation.GetSegmentation().AddEmptySegment("", name) for name in "ab"]
    random = np.random.default_rng(4)
    for _ in range(60):
        segment, step = ids[int(random.integers(2))], int(random.integers(6))
        if step == 0:
            session.undo()
        elif step == 1:
            session.redo()
        elif step == 2:
            session.reset(segment)
        else:
            k, ends = int(random.integers(5)), random.integers(0, 24, (2, 2))
            low, high = ends.min(axis=0), ends.max(axis=0)
            session.add_markup(segment, roi(scene, "oblique", (*low, k), (*high, k)))
        known = {each.name for each in session.session.objects}
        for each in ids:
            expected = session.session.mask(each) if each in known else np.zeros(SHAPE, bool)
            np.testing.assert_array_equal(segment_labelmaps.read(segmentation, each, volume), expected)


def test_only_the_changed_part_is_written(add: Add, values: NDArray[np.int16], segmentation: Any) -> None:
    volume = add(values, *CASES["lps"])
    segment_labelmaps.prepare(segmentation, volume)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "a")
    segment_labelmaps.write(segmentation, segment, volume, np.ones(SHAPE, bool), (0, 0, 0, 31, 23, 4))
    image = segmentation.GetSegmentation().GetSegment(segment).GetRepresentation("Binary labelmap")
    before = segment_labelmaps.changed_at(segmentation, segment)
    segment_labelmaps.write(segmentation, segment, volume, np.zeros((2, 3, 3), bool), (3, 4, 1, 5, 6, 2))
    assert segmentation.GetSegmentation().GetSegment(segment).GetRepresentation("Binary labelmap") is image
    assert segment_labelmaps.changed_at(segmentation, segment) > before
    expected = np.ones(SHAPE, bool)
    expected[1:3, 4:7, 3:6] = False
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, segment, volume), expected)


def test_what_the_editor_drew_is_taken_over(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    volume = add(values, *CASES["lps"])
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "a")
    session.add_markup(segment, roi(scene, "lps", (6, 4, 2), (20, 12, 2)))
    painted = segment_labelmaps.read(segmentation, segment, volume)
    painted[0, 1:3, 1:3] = True
    segment_labelmaps.write(segmentation, segment, volume, painted, (0, 0, 0, 31, 23, 4))
    session.add_markup(segment, roi(scene, "lps", (6, 4, 3), (20, 12, 3)))
    found = segment_labelmaps.read(segmentation, segment, volume)
    assert found[0, 1:3, 1:3].all()
    assert found[3].any()
    np.testing.assert_array_equal(found, session.session.mask(segment))
    session.undo()
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, segment, volume), painted)


def test_what_the_editor_drew_beyond_the_volume_stays(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    """Above and below the first and last slice, in the segment that is prompted and in another one."""
    volume = add(values, *CASES["oblique"])
    session = VolumeSession(engine, volume, segmentation)
    inner = segmentation.GetSegmentation()
    for extent in ((-3, 9, 2, 8, -2, 1), (5, 40, 20, 30, 3, 9), (-2, 35, -2, 30, -1, 6), (-9, -5, 0, 3, 0, 2)):
        segment = inner.AddEmptySegment("", "drawn")
        image = slicer.vtkOrientedImageData()
        image.SetExtent(*extent)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        image.SetGeometryFromImageToWorldMatrix(vtk_matrix(CASES["oblique"][0]))
        image.GetPointData().GetScalars().Fill(inner.GetSegment(segment).GetLabelValue())
        inner.GetSegment(segment).AddRepresentation("Binary labelmap", image)
        drawn = {
            (i, j, k)
            for i in range(extent[0], extent[1] + 1)
            for j in range(extent[2], extent[3] + 1)
            for k in range(extent[4], extent[5] + 1)
        }
        session.add_markup(segment, roi(scene, "oblique", (6, 4, 2), (20, 12, 2)))
        expected = drawn_voxels(session.session.mask(segment), (0, 0, 0)) | {
            each for each in drawn if not all(0 <= at < size for at, size in zip(each, SHAPE[::-1], strict=True))
        }
        image = inner.GetSegment(segment).GetRepresentation("Binary labelmap")
        columns, rows, slices = image.GetDimensions()
        found = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(slices, rows, columns)
        assert drawn_voxels(found, image.GetExtent()[::2]) == expected
        np.testing.assert_array_equal(
            segment_labelmaps.read(segmentation, segment, volume), session.session.mask(segment)
        )


def drawn_voxels(mask: NDArray[Any], first: tuple[int, ...]) -> set[tuple[int, ...]]:
    """The indices i, j, k of an array [k, j, i] whose first voxel has these."""
    return {tuple(int(number) for number in each) for each in np.argwhere(mask)[:, ::-1] + first}


def test_segments_that_share_a_labelmap_or_lie_elsewhere(
    add: Add, values: NDArray[np.int16], segmentation: Any
) -> None:
    volume = add(values, *CASES["lps"])
    segment_labelmaps.prepare(segmentation, volume)
    inner = segmentation.GetSegmentation()
    ids = [inner.AddEmptySegment("", name) for name in "ab"]
    masks = np.zeros((2, *SHAPE), bool)
    masks[0, :, :9], masks[1, :, 12:] = True, True
    for segment, mask in zip(ids, masks, strict=True):
        segment_labelmaps.write(segmentation, segment, volume, mask, (0, 0, 0, 31, 23, 4))
    shared = inner.GetSegment(ids[0]).GetRepresentation("Binary labelmap")
    vtk_to_numpy(shared.GetPointData().GetScalars())[masks[1].ravel()] = 2
    inner.GetSegment(ids[1]).AddRepresentation("Binary labelmap", shared)
    inner.GetSegment(ids[1]).SetLabelValue(2)
    assert inner.GetNumberOfLayers() == 1
    segment_labelmaps.write(segmentation, ids[1], volume, np.zeros(SHAPE, bool), (0, 0, 0, 31, 23, 4))
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, ids[0], volume), masks[0])
    assert not segment_labelmaps.read(segmentation, ids[1], volume).any()
    other = add(values, *CASES["ras"])
    with pytest.raises(InvalidArgument, match="another grid"):
        segment_labelmaps.write(segmentation, ids[0], other, masks[0], (0, 0, 0, 31, 23, 4))
    with pytest.raises(InvalidArgument, match="choose another"):
        segment_labelmaps.write(segmentation, "gone", volume, masks[0], (0, 0, 0, 31, 23, 4))
