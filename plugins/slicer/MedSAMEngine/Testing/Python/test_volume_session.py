# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Markups drawn on known voxels give the masks of these voxels, under every matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import vtk
from drawn_markups import markup, roi
from numpy.typing import NDArray
from volume_matrices import CASES, PARENT, vtk_matrix, world
from vtk.util.numpy_support import vtk_to_numpy

from medsam_engine import Cancelled, Engine, InvalidArgument, Session
from MedSAMEngineLib import segment_labelmaps
from MedSAMEngineLib.markup_prompts import drawn_points, plane_points, roi_box
from MedSAMEngineLib.volume_geometry import spacing, through_plane_axis, voxels, world_to_ijk
from MedSAMEngineLib.volume_session import VolumeSession

Add = Callable[..., Any]


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_voxels_are_the_array_and_spacing_is_the_matrix(add: Add, values: NDArray[np.int16], case: str) -> None:
    volume = add(values, *CASES[case])
    np.testing.assert_array_equal(voxels(volume), values)
    steps = np.linalg.norm(CASES[case][0][:3, :3], axis=0)
    assert spacing(volume) == pytest.approx(steps)
    assert through_plane_axis(volume) == 2 - int(np.argmax(steps))
    ijk = np.array([[0, 0, 0], [31, 23, 4], [3.25, 7.5, 1]])
    np.testing.assert_allclose(world_to_ijk(volume, world(case, ijk)), ijk, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flat_region_is_a_box_in_its_plane(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine, case: str, axis: int
) -> None:
    volume = add(values, *CASES[case])
    low, high = [6.0, 4.0, 1.0], [20.0, 12.0, 3.0]
    low[2 - axis] = high[2 - axis] = 2
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "lesion")
    session.add_markup(segment, roi(scene, case, tuple(low), tuple(high)))
    expected = Session(engine, values, spacing(volume))
    across = [each for each in range(3) if each != 2 - axis]
    expected.add_box("a", [int(end[each]) for end in (low, high) for each in across], slice=2, axis=axis)
    found = segment_labelmaps.read(segmentation, segment, volume)
    assert found.any()
    np.testing.assert_array_equal(found, expected.mask("a"))
    assert not np.delete(found, 2, axis).any()


def test_a_region_is_a_box_of_the_volume(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine, case: str
) -> None:
    volume = add(values, *CASES[case])
    assert roi_box(volume, roi(scene, case, (6, 4, 1), (20, 12, 3))) == ([6, 4, 1, 20, 12, 3], {})
    assert roi_box(volume, roi(scene, case, (-9, 4, 1), (20, 99, 3))) == ([0, 4, 1, 20, 23, 3], {})
    with pytest.raises(InvalidArgument, match="outside"):
        roi_box(volume, roi(scene, case, (40, 4, 1), (50, 12, 3)))
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "lesion")
    session.add_markup(segment, roi(scene, case, (6, 4, 1), (20, 12, 3)))
    expected = Session(engine, values, spacing(volume))
    expected.add_box("a", [6, 4, 1, 20, 12, 3])
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, segment, volume), expected.mask("a"))


def curve_in_ijk(scene: Any, kind: str, ijk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slicer's spline through voxel coordinates; that through their world coordinates lies on the same voxels."""
    drawn = markup(scene, kind, ijk)
    points: NDArray[np.float64] = vtk_to_numpy(drawn.GetCurvePointsWorld().GetData()).astype(np.float64)
    scene.RemoveNode(drawn)
    return points[:-1] if kind == "ClosedCurve" else points  # its last point is its first


@pytest.mark.parametrize(
    ("kind", "method"), [("Line", "add_line"), ("Curve", "add_scribble"), ("ClosedCurve", "add_lasso")]
)
def test_lines_lie_in_their_plane(
    scene: Any,
    add: Add,
    values: NDArray[np.int16],
    segmentation: Any,
    engine: Engine,
    case: str,
    kind: str,
    method: str,
) -> None:
    volume = add(values, *CASES[case])
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "lesion")
    ijk = np.array([[7.0, 5, 2], [18, 5, 2], [18, 14, 2], [7, 14, 2]])[: 2 if kind == "Line" else 4]
    session.add_markup(segment, markup(scene, kind, world(case, ijk)))
    line = ijk if kind == "Line" else curve_in_ijk(scene, kind, ijk)
    expected = Session(engine, values, spacing(volume))
    getattr(expected, method)("a", np.round(line[:, :2], 4), slice=2)
    found = segment_labelmaps.read(segmentation, segment, volume)
    np.testing.assert_array_equal(found, expected.mask("a"))
    with pytest.raises(InvalidArgument, match="several planes"):
        session.add_markup(segment, markup(scene, "Line", world(case, [[7, 5, 1], [18, 13, 2]])))


@pytest.mark.parametrize("kind", ["Curve", "ClosedCurve"])
def test_a_curve_is_the_drawn_line(scene: Any, add: Add, values: NDArray[np.int16], case: str, kind: str) -> None:
    volume = add(values, *CASES[case])
    ijk = np.array([[7.0, 5, 2], [18, 5, 2], [18, 14, 2], [7, 14, 2]])
    drawn = markup(scene, kind, world(case, ijk))
    found = world_to_ijk(volume, drawn_points(drawn))
    np.testing.assert_allclose(found, curve_in_ijk(scene, kind, ijk), atol=2e-4)  # curves have float32
    assert found[:, 0].max() > 19  # the spline bulges beyond the control points
    assert np.linalg.norm(found[-1] - found[0]) > 0.5
    drawn.SetCurveTypeToLinear()
    assert world_to_ijk(volume, drawn_points(drawn))[:, 0].max() == pytest.approx(18, abs=2e-4)
    drawn.SetNthControlPointPosition(3, *world(case, ijk)[3], drawn.PositionPreview)
    with pytest.raises(InvalidArgument, match="still being placed"):
        drawn_points(drawn)


@pytest.mark.parametrize(("kind", "most"), [("Curve", 1), ("ClosedCurve", 2)])
def test_a_curve_of_few_points_is_its_points(scene: Any, kind: str, most: int) -> None:
    points = np.array([[7.0, 5, 2], [18, 5, 2]])[:most]
    np.testing.assert_allclose(drawn_points(markup(scene, kind, points)), points)


def test_points_are_clicks_across_the_acquired_slices(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine, case: str
) -> None:
    volume = add(values, *CASES[case])
    axis = through_plane_axis(volume)
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "lesion")
    points = [[10, 9, 2], [14, 8, 2]]
    points[1][2 - axis] = points[0][2 - axis]
    for point, positive in zip(points, (True, False), strict=True):
        session.add_markup(segment, markup(scene, "Fiducial", world(case, [point])), positive)
    expected = Session(engine, values, spacing(volume))
    for point, positive in zip(points, (True, False), strict=True):
        across = [point[each] for each in range(3) if each != 2 - axis]
        expected.add_click("a", across, positive, slice=point[2 - axis], axis=axis)
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, segment, volume), expected.mask("a"))


def test_a_point_is_a_click_once(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    volume = add(values, *CASES["oblique"])
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "lesion")
    drawn = markup(scene, "Fiducial", world("oblique", [[10, 9, 2]]))

    def prompts() -> int:
        return sum(each.prompts for each in session.session.objects)

    session.add_markup(segment, drawn)
    drawn.AddControlPointWorld(vtk.vtkVector3d(*world("oblique", [[14, 8, 2]])[0]))
    session.add_markup(segment, drawn, positive=False)  # of the second point alone
    expected = Session(engine, values, spacing(volume))
    expected.add_click("a", [10, 9], True, slice=2)
    expected.add_click("a", [14, 8], False, slice=2)
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, segment, volume), expected.mask("a"))
    assert prompts() == 2
    with pytest.raises(InvalidArgument, match="no point that is new"):
        session.add_markup(segment, drawn)
    drawn.RemoveNthControlPoint(0)
    with pytest.raises(InvalidArgument, match="no point that is new"):
        session.add_markup(segment, drawn)
    drawn.SetNthControlPointPositionWorld(0, *world("oblique", [[12, 7, 2]])[0])
    session.add_markup(segment, drawn)
    assert prompts() == 3
    session.reset(segment)
    session.add_markup(segment, drawn)
    assert prompts() == 1


def test_a_list_with_a_point_outside_is_no_click(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    volume = add(values, *CASES["ras"])
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "lesion")
    drawn = markup(scene, "Fiducial", world("ras", [[10, 9, 2], [14, 8, 2], [40, 8, 2]]))
    with pytest.raises(InvalidArgument, match="place it inside"):
        session.add_markup(segment, drawn)
    assert not session.session.objects
    drawn.RemoveNthControlPoint(2)
    session.add_markup(segment, drawn)
    assert [each.prompts for each in session.session.objects] == [2]
    empty = markup(scene, "Fiducial", np.zeros((0, 3)))
    with pytest.raises(InvalidArgument, match="no point, expected at least one"):
        session.add_markup(segment, empty)


def test_points_at_the_edge_and_beyond(add: Add, values: NDArray[np.int16], case: str) -> None:
    volume = add(values, *CASES[case])
    points, plane = plane_points(volume, world(case, [[-0.5, 23.5, 2.2]]), 0)
    np.testing.assert_allclose(points, [[0, 23]], atol=1e-6)
    assert plane == {"axis": 0, "slice": 2}
    with pytest.raises(InvalidArgument, match="place it inside"):
        plane_points(volume, world(case, [[-0.6, 3, 2]]))
    with pytest.raises(InvalidArgument, match="no point"):
        plane_points(volume, np.zeros((0, 3)))


def test_a_volume_that_changes_ends_its_session(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    volume = add(values, *CASES["lps"])
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "a")
    drawn = roi(scene, "lps", (6, 4, 2), (20, 12, 2))
    session.add_markup(segment, drawn)
    with pytest.raises(Cancelled):
        session.propagate(segment, cancelled=lambda: True)
    session.propagate(segment, first=1, last=3)
    assert segment_labelmaps.read(segmentation, segment, volume).any(axis=(1, 2)).tolist() == [
        False,
        *[True] * 3,
        False,
    ]
    volume.GetImageData().Modified()
    with pytest.raises(InvalidArgument, match="other voxels"):
        session.add_markup(segment, drawn)


@pytest.mark.parametrize("change", ["matrix", "transform", "segmentation's transform", "labelmap"])
def test_a_place_that_changes_ends_the_session(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine, change: str
) -> None:
    """Whatever moved, the session and the segments are as they were before the refused call."""
    volume = add(values, *CASES["ras"])
    session = VolumeSession(engine, volume, segmentation)
    inner = segmentation.GetSegmentation()
    first, second = (inner.AddEmptySegment("", name) for name in "ab")
    session.add_markup(first, roi(scene, "ras", (6, 4, 2), (20, 12, 2)))
    session.add_markup(second, roi(scene, "ras", (9, 4, 1), (20, 12, 1)))
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(vtk_matrix(PARENT))
    if change == "matrix":
        volume.SetSpacing(0.7, 0.9, 5.0)
    elif change == "transform":
        volume.SetAndObserveTransformNodeID(transform.GetID())
        segmentation.SetAndObserveTransformNodeID(transform.GetID())
    elif change == "labelmap":
        inner.GetSegment(second).GetRepresentation("Binary labelmap").SetOrigin(0.0, 0.0, 0.0)
    else:
        segmentation.SetAndObserveTransformNodeID(transform.GetID())
    before = [session.session.mask(each) for each in (first, second)]
    steps = session.session.undo_steps
    drawn = roi(scene, "ras", (7, 5, 3), (19, 11, 3))
    calls: list[Callable[[], None]] = [
        lambda: session.add_markup(first, drawn),
        session.undo,
        lambda: session.propagate(first),
        lambda: session.reset(first),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument, match=r"begin (it again|a new segmentation)"):
            call()
    assert session.session.undo_steps == steps
    for each, mask in zip((first, second), before, strict=True):
        np.testing.assert_array_equal(session.session.mask(each), mask)


def test_a_common_transform_may_change(
    scene: Any, add: Add, values: NDArray[np.int16], segmentation: Any, engine: Engine
) -> None:
    volume = add(values, *CASES["transformed"])
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "a")
    volume.GetParentTransformNode().SetMatrixTransformToParent(vtk_matrix(np.eye(4)))
    session.add_markup(segment, roi(scene, "ras", (6, 4, 2), (20, 12, 2)))
    expected = Session(engine, values, spacing(volume))
    expected.add_box("a", [6, 4, 20, 12], slice=2)
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, segment, volume), expected.mask("a"))


def test_an_rgb_image_and_what_is_refused(scene: Any, add: Add, segmentation: Any, engine: Engine) -> None:
    colors = np.random.default_rng(1).integers(0, 255, (1, 24, 32, 3)).astype(np.uint8)
    volume = add(colors, *CASES["lps"], components=3)
    session = VolumeSession(engine, volume, segmentation)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "a")
    session.add_markup(segment, roi(scene, "lps", (6, 4, 0), (20, 12, 0)))
    expected = Session(engine, colors[0], spacing(volume)[:2])
    expected.add_box("a", [6, 4, 20, 12])
    np.testing.assert_array_equal(segment_labelmaps.read(segmentation, segment, volume)[0], expected.mask("a"))
    with pytest.raises(InvalidArgument, match="2 slices of 3 values"):
        voxels(add(np.zeros((2, 8, 9, 3), np.uint8), *CASES["lps"], components=3))
    with pytest.raises(InvalidArgument, match="3 columns"):
        voxels(add(np.zeros((5, 8, 3), np.uint8), *CASES["lps"]))
    with pytest.raises(InvalidArgument, match="no voxels"):
        voxels(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    with pytest.raises(InvalidArgument, match="expected a ROI"):
        session.add_markup(segment, markup(scene, "Angle", world("lps", [[6, 4, 0], [9, 9, 0]])))
