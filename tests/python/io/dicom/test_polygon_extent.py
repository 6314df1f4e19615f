# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The extent of a polygon against the raster of matplotlib's and scikit-image's kind, made here pixel by pixel."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine.io.dicom.polygon_extent import polygon_extent

SIZE = (30, 20)  # columns, rows
SQUARE = np.array([[2.5, 3.5], [9.5, 3.5], [9.5, 8.5], [2.5, 8.5]])


def rastered(rings: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Each pixel center by the even-odd rule, one at a time; centers on the boundary are not met by random polygons."""
    inside = np.zeros(SIZE[::-1], np.bool_)
    for y in range(SIZE[1]):
        for x in range(SIZE[0]):
            crossings = 0
            for ring in rings:
                for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                    if (y0 <= y) != (y1 <= y) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) > x:
                        crossings += 1
            inside[y, x] = crossings % 2 == 1
    return inside


def extent_of(mask: NDArray[np.bool_]) -> tuple[int, ...] | None:
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize("seed", range(40))
def test_random_polygons(seed: int) -> None:
    """Also those that cross themselves, several at once, beyond the sides, and too small for any center."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.4, 3.0, 20.0])
    rings = [
        rng.uniform(-3, 33, 2) + scale * rng.normal(size=(rng.integers(1, 9), 2)) for _ in range(rng.integers(1, 4))
    ]
    assert polygon_extent([ring.copy() for ring in rings], SIZE) == extent_of(rastered(rings))


def test_centers_on_the_boundary_count() -> None:
    """Contours that are made of masks run through the centers of the outermost pixels."""
    assert polygon_extent([np.array([[3.0, 4], [9, 4], [9, 8], [3, 8]])], SIZE) == (3, 4, 9, 8)
    assert polygon_extent([np.array([[5.0, 6.0]])], SIZE) == (5, 6, 5, 6)
    assert polygon_extent([np.array([[5.0, 6.0], [9.0, 6.0]])], SIZE) == (5, 6, 9, 6)
    assert polygon_extent([np.array([[3.004, 4.006], [9, 3.995], [8.993, 8], [3, 7.996]])], SIZE) == (3, 4, 9, 8)


def test_the_sides_of_the_image_cut() -> None:
    assert polygon_extent([np.array([[-9.0, -9], [99, -9], [99, 99], [-9, 99]])], SIZE) == (0, 0, 29, 19)
    assert polygon_extent([SQUARE - 40], SIZE) is None
    assert polygon_extent([SQUARE + 40], SIZE) is None


def test_a_keyhole_is_its_outline() -> None:
    hole = np.array([[4.5, 5.5], [7.5, 5.5], [7.5, 6.5], [4.5, 6.5]])[::-1]
    keyhole = np.concatenate([SQUARE, SQUARE[:1], hole[-1:], hole])
    assert polygon_extent([keyhole], SIZE) == (3, 4, 9, 8)


def test_rings_together_are_combined_by_the_even_odd_rule() -> None:
    left = np.array([[2.5, 3.5], [5.5, 3.5], [5.5, 8.5], [2.5, 8.5]])
    assert polygon_extent([SQUARE, left], SIZE) == (6, 4, 9, 8)


def test_a_polygon_of_many_points_takes_parts_of_the_table() -> None:
    turn = np.linspace(0, 2 * np.pi, 2_000_000, endpoint=False)
    circle = np.stack([15 + 9.3 * np.cos(turn), 10 + 6.4 * np.sin(turn)], axis=1)
    assert polygon_extent([circle], SIZE) == (6, 4, 24, 16)
