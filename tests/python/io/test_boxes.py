# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Boxes from millimeters on grids of any orientation, from label maps, and loosened."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam_engine import InvalidArgument
from medsam_engine.io.boxes import boxes_from_labels, boxes_from_mm, jittered, line_from_mm
from medsam_engine.io.medical_image import MedicalImage

GRID = (9, 20, 30)


def image(seed: int | None = None, grid: tuple[int, ...] = GRID, known: bool = True) -> MedicalImage:
    direction = np.eye(3)
    if seed is not None:
        q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
        direction = q * np.sign(np.diag(r))
    return MedicalImage(
        np.zeros(grid, np.uint8),
        (0.5, 0.75, 4.0),
        (-10.0, 20.0, 30.0),
        direction,
        "CT",
        Path("a.nii"),
        spaced=known,
        positioned=known,
    )


def corners_mm(made: MedicalImage, box: list[int]) -> list[float]:
    points = made.affine @ np.array([[*box[:3], 1], [*box[3:], 1]]).T
    return [*points[:3, 0], *points[:3, 1]]


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_axis_aligned_grids(signs: tuple[int, int, int]) -> None:
    made = image()
    made = MedicalImage(made.array, made.spacing, made.origin, np.diag(signs).astype(float), "", Path("a"))
    box = [3, 4, 1, 20, 15, 7]
    np.testing.assert_array_equal(boxes_from_mm([corners_mm(made, box)], made), [box])
    mm = np.array(corners_mm(made, box))
    np.testing.assert_array_equal(boxes_from_mm([mm[[3, 1, 5, 0, 4, 2]]], made), [box])  # corners in any order


def test_a_permuted_grid() -> None:
    direction = np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])
    made = MedicalImage(np.zeros(GRID, np.uint8), (0.5, 0.75, 4.0), (1.0, 2.0, 3.0), direction, "", Path("a"))
    box = [3, 4, 1, 20, 15, 7]
    np.testing.assert_array_equal(boxes_from_mm([corners_mm(made, box)], made), [box])


@given(st.integers(0, 200))
def test_an_oblique_box_holds_its_own_points(seed: int) -> None:
    made = image(seed)
    rng = np.random.default_rng(seed)
    center = made.affine[:3, :3] @ (np.array([15, 10, 4])) + np.asarray(made.origin)
    half = rng.uniform(0.1, 1.0, 3)
    (box,) = boxes_from_mm([[*(center - half), *(center + half)]], made)
    points = made.index_from_mm(center + rng.uniform(-1, 1, (50, 3)) * half)
    assert (points >= box[:3] - 0.5 - 1e-6).all()
    assert (points <= box[3:] + 0.5 + 1e-6).all()


def test_rounding_to_the_nearest_voxel() -> None:
    made = image()
    x, y, z = made.origin
    # From 0.4 to 2.4 voxels in x; to the outer edge of the last voxel in y and z.
    box = [x + 0.2, y, z, x + 1.2, y + 19.5 * 0.75, z + 8.5 * 4.0]
    np.testing.assert_array_equal(boxes_from_mm([box], made), [[0, 0, 0, 2, 19, 8]])


def test_outside_and_wrong_counts() -> None:
    made = image()
    with pytest.raises(InvalidArgument, match=r"x -10\.2 to 4\.8, y 19\.6 to 34\.6, z 28\.0 to 64\.0.*LPS"):
        boxes_from_mm([[0, 25, 40, 9, 26, 41]], made)
    for box, got in (
        ([[1, 2, 3, 4]], "4 numbers"),
        ([[1, 2, 3]], "3 numbers"),
        ([[0, 25, float("nan"), 1, 26, 41]], "NaN or an infinity"),
    ):
        with pytest.raises(InvalidArgument, match=f"box in mm: got {got}, expected x0,y0,z0"):
            boxes_from_mm(box, made)
        with pytest.raises(InvalidArgument, match=f"line in mm: got {got}, expected x0,y0,z0"):
            line_from_mm(box, made)
    with pytest.raises(InvalidArgument, match="no pixel spacing"):
        boxes_from_mm([[0, 0, 1, 1]], image(grid=(20, 30), known=False))


def test_a_line_keeps_its_ends_and_takes_the_nearest_slice() -> None:
    made = image(seed=3)  # oblique: the box of two corners is larger than the two
    ends = np.array([[20.25, 4.5, 2.0], [3.75, 15.0, 2.0]])  # falls to the left: a box would order it
    mm = ends @ made.affine[:3, :3].T + np.asarray(made.origin)
    np.testing.assert_allclose(line_from_mm(mm.ravel(), made), ends, atol=1e-9)
    toward = made.affine[:3, 2] * 0.4
    np.testing.assert_allclose(line_from_mm((mm + toward).ravel(), made), ends, atol=1e-9)
    # The half pixel round the outer centers belongs to them; what is beyond it is outside.
    edge = np.array([[-0.4, 4, 2], [29.4, 4, 2]]) @ made.affine[:3, :3].T + np.asarray(made.origin)
    np.testing.assert_allclose(line_from_mm(edge.ravel(), made), [[0, 4, 2], [29, 4, 2]], atol=1e-9)
    with pytest.raises(InvalidArgument, match=r"line in mm: got .* expected a line inside .*LPS"):
        line_from_mm((mm + made.affine[:3, 0] * 40).ravel(), made)


def test_flat_images() -> None:
    lying = image(grid=(20, 30))
    np.testing.assert_array_equal(boxes_from_mm([[-9.5, 20.75, 30, -8, 23, 30]], lying), [[1, 1, 4, 4]])
    with pytest.raises(InvalidArgument, match="inside"):
        boxes_from_mm([[-9.5, 20.75, 40, -8, 23, 40]], lying)  # another slice
    loose = MedicalImage(
        np.zeros((20, 30), np.uint8), (0.5, 0.75, 1.0), (0.0, 0.0, 0.0), np.eye(3), "CR", Path("a"), positioned=False
    )
    np.testing.assert_array_equal(boxes_from_mm([[0.5, 0.75, 2.0, 3.0]], loose), [[1, 1, 4, 4]])


def test_boxes_of_labels() -> None:
    labels = np.zeros(GRID, np.uint32)
    labels[1:4, 5:9, 2:20] = 7
    labels[8, 19, 29] = 70000
    boxes, values = boxes_from_labels(labels)
    np.testing.assert_array_equal(boxes, [[2, 5, 1, 19, 8, 3], [29, 19, 8, 29, 19, 8]])
    np.testing.assert_array_equal(values, [7, 70000])
    boxes, values = boxes_from_labels(labels[2])
    np.testing.assert_array_equal(boxes, [[2, 5, 19, 8]])
    assert len(boxes_from_labels(np.zeros((3, 3), np.uint8))[0]) == 0


def test_jitter() -> None:
    boxes = np.array([[2, 5, 1, 19, 8, 3], [0, 0, 0, 29, 19, 8]] * 50)
    moved = jittered(boxes, 5, GRID, seed=3)
    np.testing.assert_array_equal(moved, jittered(boxes, 5, GRID, seed=3))
    assert (moved != jittered(boxes, 5, GRID, seed=4)).any()
    np.testing.assert_array_equal(moved[:, [2, 5]], boxes[:, [2, 5]])
    np.testing.assert_array_equal(moved[1::2], boxes[1::2])  # nowhere to go
    grown = boxes[::2, :2] - moved[::2, :2]
    assert grown.min() == 0
    assert set(np.unique(grown[:, 1])) == set(range(6))
    np.testing.assert_array_equal(jittered(boxes, 0, GRID), boxes)
    with pytest.raises(InvalidArgument, match="jitter"):
        jittered(boxes, -1, GRID)
