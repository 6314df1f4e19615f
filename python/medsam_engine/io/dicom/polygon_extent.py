# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which pixels a polygon reaches: the extent of the pixel centers in or on it, without a raster."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Pixels: contours that run through pixel centers, as those made of masks do, are written to a hundredth of a mm.
_ON = 0.01
_LARGEST_TABLE = 1 << 22  # edges times rows at once


def polygon_extent(rings: Sequence[NDArray[np.float64]], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1, ends inclusive, of the pixel centers in the polygon or on its boundary; None if there are none.

    Several rings are one polygon by the even-odd rule (XOR). Keyholes need no care: the cut is passed twice.

    Args:
        rings: each (N, 2), x and y in pixels, centers at whole numbers; closed from the last point to the first.
        size: columns and rows; centers outside do not count.
    """
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    for points in (starts, ends):  # rows that are meant to be met are met exactly
        whole = np.rint(points[:, 1])
        points[:, 1] = np.where(np.abs(points[:, 1] - whole) <= _ON, whole, points[:, 1])
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    first, last = max(0.0, float(np.ceil(low.min()))), min(size[1] - 1.0, float(np.floor(high.max())))
    extent: list[tuple[int, int, int, int]] = []
    step = max(1, _LARGEST_TABLE // len(starts))
    for begin in np.arange(first, last + 1, step):
        rows = np.arange(begin, min(last, begin + step - 1) + 1)
        for row, left, right in (_inside(starts, ends, rows), _boundary(starts, ends, low, high, rows)):
            x0 = np.maximum(np.ceil(left - _ON), 0)
            x1 = np.minimum(np.floor(right + _ON), size[0] - 1)
            met = x0 <= x1
            if met.any():
                extent.append((int(x0[met].min()), int(row[met].min()), int(x1[met].max()), int(row[met].max())))
    if not extent:
        return None
    found = np.array(extent)
    (x0, y0), (x1, y1) = found[:, :2].min(axis=0), found[:, 2:].max(axis=0)
    return int(x0), int(y0), int(x1), int(y1)


_Spans = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]  # row, leftmost and rightmost x


def _inside(starts: NDArray[np.float64], ends: NDArray[np.float64], rows: NDArray[np.float64]) -> _Spans:
    above = starts[:, 1] <= rows[:, np.newaxis]
    row, edge = np.nonzero(above != (ends[:, 1] <= rows[:, np.newaxis]))
    x = _crossing(starts[edge], ends[edge], rows[row])
    order = np.lexsort((x, row))  # every row is crossed an even number of times, by each ring
    return rows[row[order[::2]]], x[order[::2]], x[order[1::2]]


def _boundary(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    rows: NDArray[np.float64],
) -> _Spans:
    row, edge = np.nonzero((low <= rows[:, np.newaxis]) & (rows[:, np.newaxis] <= high))
    level = low[edge] == high[edge]
    x = _crossing(starts[edge], ends[edge], rows[row])
    left = np.where(level, np.minimum(starts[edge, 0], ends[edge, 0]), x)
    right = np.where(level, np.maximum(starts[edge, 0], ends[edge, 0]), x)
    return rows[row], left, right


def _crossing(starts: NDArray[np.float64], ends: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    rise = ends[:, 1] - starts[:, 1]
    share = (rows - starts[:, 1]) / np.where(rise == 0, 1.0, rise)
    return np.asarray(starts[:, 0] + share * (ends[:, 0] - starts[:, 0]))
