# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""3D Slicer's regions of interest become the boxes that SimpleITK finds under their corners, or are refused by name."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam_engine import InvalidArgument
from medsam_engine.io import MedicalImage
from medsam_engine.io.slicer_markups import is_markups, markups_boxes, read_markups

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

GRID = (12, 30, 40)
TURNS = [
    np.diag(signs) @ np.eye(3)[list(order)]
    for order in itertools.permutations(range(3))
    for signs in itertools.product((-1.0, 1.0), repeat=3)
]


def roi(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "type": "ROI",
        "name": "liver",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "roiType": "Box",
        "center": [1.0, 2.0, 3.0],
        "orientation": [-1, -0.0, -0.0, -0.0, -1, -0.0, 0, 0, 1],
        "size": [4.0, 6.0, 8.0],
        "insideOut": False,
        "controlPoints": [{"position": [1.0, 2.0, 3.0]}],
    }
    return {key: value for key, value in {**known, **changes}.items() if value != "absent"}


def saved(tmp_path: Path, *markups: object) -> Path:
    path = tmp_path / "r.mrk.json"
    path.write_text(json.dumps({"@schema": "markups-schema-v1.0.3.json#", "markups": markups}), encoding="utf-8")
    return path


def image(direction: object, spacing: tuple[float, float, float] = (0.7, 0.9, 2.5), **changes: Any) -> MedicalImage:
    known: dict[str, Any] = {
        "array": np.zeros(GRID, np.uint8),
        "spacing": spacing,
        "origin": (-31.0, 17.5, 240.0),
        "direction": np.asarray(direction, float),
        "modality": "",
        "path": Path("scan"),
    }
    return MedicalImage(**{**known, **changes})


@settings(max_examples=60)
@given(st.sampled_from(TURNS), st.sampled_from(TURNS), st.booleans(), st.data())
def test_a_region_around_voxels_is_the_box_of_these_voxels(
    tmp_path_factory: pytest.TempPathFactory, grid: Any, own: Any, ras: bool, data: st.DataObject
) -> None:
    """For each upright orientation of the grid, and of the region itself, whose sizes are along its own axes."""
    scan = image(grid)
    second = sitk.Image([*GRID[::-1]], sitk.sitkUInt8)
    second.SetSpacing(scan.spacing)
    second.SetOrigin(scan.origin)
    second.SetDirection(scan.direction.ravel().tolist())
    low = [data.draw(st.integers(0, n - 1)) for n in GRID[::-1]]
    high = [data.draw(st.integers(a, n - 1)) for a, n in zip(low, GRID[::-1], strict=True)]
    faces = [
        second.TransformContinuousIndexToPhysicalPoint([float(v) for v in ends])
        for ends in (np.array(low) - 0.5, np.array(high) + 0.5)
    ]
    center, extent = np.mean(faces, axis=0), np.abs(np.subtract(*faces))
    flip = np.array([-1.0, -1, 1]) if ras else np.ones(3)
    markup = roi(
        coordinateSystem="RAS" if ras else "LPS",
        center=(center * flip).tolist(),
        orientation=own.ravel().tolist(),
        size=(np.abs(own).T @ extent).tolist(),
    )
    boxes, names = markups_boxes(saved(tmp_path_factory.mktemp("roi"), markup), scan)
    np.testing.assert_array_equal(boxes, [[*low, *high]])
    assert names == ("liver",)
    # SimpleITK finds the same voxels just inside of the region's corners.
    inside = [np.array(face) + np.sign(center - face) * 1e-3 for face in faces]
    corners = [second.TransformPhysicalPointToIndex(point.tolist()) for point in inside]
    np.testing.assert_array_equal(np.min(corners, axis=0), low)
    np.testing.assert_array_equal(np.max(corners, axis=0), high)


def test_a_voxel_that_is_covered_in_part_is_in_the_box(tmp_path: Path) -> None:
    scan = image(np.eye(3), (1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0))
    boxes, _ = markups_boxes(saved(tmp_path, roi(center=[10.0, 10.0, 5.0], size=[4.4, 5.2, 0.2])), scan)
    assert boxes.tolist() == [[8, 7, 5, 12, 13, 5]]


def test_several_regions_and_hand_written_files(tmp_path: Path) -> None:
    plain = roi(name="absent", center="absent", orientation="absent", insideOut="absent", coordinateUnits="absent")
    boxes, names = read_markups(saved(tmp_path, roi(name="a\x1bb"), plain, roi(coordinateSystem="RAS")))
    assert names == ("a\\x1bb", "ROI 2", "liver")
    assert boxes.tolist() == [[-1, -1, -1, 3, 5, 7], [-1, -1, -1, 3, 5, 7], [-3, -5, -1, 1, 1, 7]]
    assert is_markups(Path("R.MRK.JSON"))
    assert not is_markups(Path("labels.nii.gz"))


TURNED = [np.cos(0.1), -np.sin(0.1), 0, np.sin(0.1), np.cos(0.1), 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        (roi(orientation=TURNED), "rotated by 5.73 degrees for liver in"),
        (roi(orientation=[1, 0, 0, 1, 0, 0, 0, 0, 1]), "rotated"),
        (roi(orientation=[0] * 9), "rotated by 90.00 degrees"),
        (roi(orientation=[1, 0, 0]), "no orientation of 9 numbers"),
        (roi(type="Plane"), "got type 'Plane' for liver"),
        (roi(roiType="Sphere"), "roiType 'Sphere'"),
        (roi(insideOut=True), "Inside out"),
        (roi(coordinateUnits="um"), "coordinateUnits 'um'"),
        (roi(coordinateUnits=["[x]"]), "coordinateUnits"),
        (roi(coordinateSystem="IJK"), "expected LPS or RAS"),
        (roi(coordinateSystem=["LPS"]), "expected LPS or RAS"),
        (roi(coordinateSystem="absent"), "coordinateSystem"),
        (roi(size=[1, 2, 0]), "lengths above 0"),
        (roi(size=[1, 2]), "no size of 3 numbers"),
        (roi(size=[1, 2, True]), "no size of 3 numbers"),
        (roi(size=[1, 2, float("nan")]), "finite"),
        (roi(center=[1, 2, float("inf")]), "finite"),
        (roi(center="absent", controlPoints=[]), "no center"),
        (roi(center={"x": 1}), "no center of 3 numbers"),
        (17, "no markups"),
    ],
)
def test_what_is_no_upright_box_is_refused(tmp_path: Path, markup: object, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_markups(saved(tmp_path, markup))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"markups": []}', '{"markups": 3}', "[" * 100000, "\xff", "1e999"]
)
def test_what_is_no_markups_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.mrk.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidArgument, match="markups: got"):
        read_markups(path)
    with pytest.raises(InvalidArgument, match="a folder"):
        read_markups(tmp_path)


def test_places_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, roi())
    with pytest.raises(InvalidArgument, match="expected a box inside scan"):
        markups_boxes(path, image(np.eye(3)))
    near = image(np.eye(3), origin=(-3.0, -3.0, -3.0))
    for scan in (dataclasses.replace(near, positioned=False), dataclasses.replace(near, spaced=False)):
        with pytest.raises(InvalidArgument, match="no position in space"):
            markups_boxes(path, scan)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.sampled_from(sorted(roi())), ANY_JSON)
def test_any_value_in_a_field_is_an_answer_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    path = saved(tmp_path_factory.mktemp("roi"), {**roi(), key: value})
    message = ""
    try:
        boxes, names = read_markups(path)
    except InvalidArgument as error:
        message = str(error)
    if message:
        assert "\n" not in message
        assert len(message) < 2500
        return
    assert boxes.shape == (1, 6)
    assert np.isfinite(boxes).all()
    assert (boxes[:, :3] <= boxes[:, 3:]).all()
    assert len(names) == 1
    assert names[0].isprintable()
