# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Masks of strokes and outlines as lines: what a Session would draw of them is what was sent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from medsam_engine import Engine, Session
from medsam_engine.serve.nninteractive.geometry import (
    Region,
    bounds,
    drawn_axis,
    plane_box,
    plane_of,
    plane_point,
    region_of,
    rounded_region,
    rounded_voxel,
    through_plane_axis,
)
from medsam_engine.serve.nninteractive.strokes import largest_pieces, lines_of, outline_of

Mask = NDArray[np.bool_]
EIGHT = np.ones((3, 3), int)


def masks() -> st.SearchStrategy[Mask]:
    return arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)).filter(np.any)


def filled(outline: NDArray[np.float64], shape: tuple[int, ...]) -> Mask:
    """What a closed line contains: the pixels on it, and those for which it goes round an odd number of times."""
    found = np.zeros(shape, np.bool_)
    for row in range(shape[0]):
        for column in range(shape[1]):
            odd = False
            for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
                if (y0 <= row) != (y1 <= row) and column < x0 + (row - y0) * (x1 - x0) / (y1 - y0):
                    odd = not odd
            found[row, column] = odd
    found[outline[:, 1].astype(int), outline[:, 0].astype(int)] = True
    return found


@settings(max_examples=150, deadline=None)
@given(masks())
def test_an_outline_contains_its_piece_with_holes_filled(mask: Mask) -> None:
    found = largest_pieces(mask)
    labels, count = ndimage.label(mask, EIGHT)
    assert len(found) == min(count, 8)
    assert [p.sum() for p in found] == sorted(np.bincount(labels.ravel())[1:], reverse=True)[:8]
    for piece in found:
        outline = outline_of(piece)
        assert outline.ndim == 2
        assert len(outline) >= 3
        steps = np.abs(np.diff(np.concatenate([outline, outline[:1]]), axis=0)).max(axis=1)
        assert steps.max() <= 1  # pixel by pixel, and closed
        np.testing.assert_array_equal(filled(outline, mask.shape), ndimage.binary_fill_holes(piece))


def test_an_outline_is_what_a_session_cuts_to(tiny_engine: Engine) -> None:
    """The tiny model answers the whole box, so that the lasso's mask is the outline itself."""
    rows, columns = np.mgrid[:32, :32]
    disk = (rows - 15) ** 2 + (columns - 14) ** 2 < 100
    session = Session(tiny_engine, np.zeros((32, 32), np.uint8), encode_ahead=False)
    session.add_lasso("a", outline_of(largest_pieces(disk)[0]))
    found = session.mask("a")
    assert not (found & ~disk).any()
    assert found.sum() > 0.8 * disk.sum()


@settings(max_examples=150, deadline=None)
@given(masks())
def test_a_line_walks_over_all_of_a_stroke_and_nothing_else(mask: Mask) -> None:
    walked = np.zeros_like(mask)
    for line in lines_of(mask):
        assert np.abs(np.diff(line, axis=0)).max(initial=0) <= 1
        walked[line[:, 1].astype(int), line[:, 0].astype(int)] = True
    assert not (walked & ~mask).any()
    if ndimage.label(mask, EIGHT)[1] <= 8:
        np.testing.assert_array_equal(walked, mask)


def test_a_broad_brush_has_no_end_of_points() -> None:
    (line,) = lines_of(np.ones((400, 400), np.bool_))
    assert len(line) < 100_000


@pytest.mark.parametrize(
    ("drawn", "low", "high"),
    [
        ([[6.0, 7.0], [10.4, 30.6], [5.2, 20.7]], (6, 10, 5), (7, 31, 21)),  # as napari sends it
        ([[0.5, 1.5], [2.5, 3.5], [3.5, 4.5]], (0, 2, 4), (2, 4, 5)),  # half to even, and never empty
        ([[7, 7], [9, 3], [-2, 4]], (7, 3, -2), (8, 9, 4)),  # empty, turned round, outside
    ],
)
def test_a_drawn_box_is_rounded_half_to_even(drawn: list[list[float]], low: object, high: object) -> None:
    region = rounded_region(drawn)
    assert (region.low, region.high) == (low, high)


def test_boxes_are_cut_to_the_volume() -> None:
    region = rounded_region([[-2, 4], [8, 99], [3, 4]])
    assert region.within((5, 10, 20)) == Region((0, 8, 3), (4, 10, 4))
    assert region.within((5, 8, 20)) is None
    assert rounded_region([[1e300, 2e300], [0, 1], [0, 1]]).within((5, 5, 5)) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_coordinates_of_a_plane_are_a_sessions(axis: int) -> None:
    """Those of plane_point are column and row of the plane, and of what plane_of shows."""
    voxel = (3, 5, 7)
    volume = np.zeros((8, 9, 10), np.bool_)
    volume[voxel] = True
    x, y = plane_point(voxel, axis)
    plane = plane_of(volume, axis, voxel[axis])
    assert plane[y, x]
    assert plane.sum() == 1
    region = bounds(volume)
    assert region is not None
    assert plane_box(region, axis) == (x, y, x, y)
    assert region_of(region.voxel_box()) == region
    assert region.voxel_box() == (7, 5, 3, 7, 5, 3)
    assert region.pairs() == [[3, 4], [5, 6], [7, 8]]


@pytest.mark.parametrize(
    ("shape", "spacing", "axis"),
    [
        ((40, 512, 512), (3.0, 0.8, 0.8), 0),
        ((512, 40, 512), (0.8, 3.0, 0.8), 1),
        ((512, 512, 40), (0.8, 0.8, 3.0), 2),
        ((64, 64, 64), (1.0, 1.0, 1.0), 0),
        ((64, 64, 64), (1.0, 2.0, 2.0), 1),
        ((1, 300, 400), (1.0, 1.0, 1.0), 0),
        ((300, 400, 1), (2.0, 1.0, 1.0), 2),
    ],
)
def test_the_axis_across_the_planes(shape: tuple[int, int, int], spacing: tuple[float, ...], axis: int) -> None:
    assert through_plane_axis(shape, spacing) == axis


def test_the_axis_across_what_was_drawn() -> None:
    assert drawn_axis(Region((4, 0, 0), (5, 9, 9)), 2) == 0
    assert drawn_axis(Region((0, 0, 4), (9, 9, 6)), 0) == 2
    assert drawn_axis(Region((4, 4, 0), (5, 5, 9)), 1) == 1  # a straight stroke: the volume's own planes
    assert drawn_axis(Region((4, 0, 4), (5, 9, 5)), 1) == 0


def test_clicks_outside() -> None:
    assert rounded_voxel([0.4, -0.5, 9.49], (1, 1, 10)) == (0, 0, 9)
    for point in ([0, 0, 9.6], [-0.6, 0, 0], [0, 1, 0], [1e200, 0, 0]):
        assert rounded_voxel(point, (1, 1, 10)) is None
