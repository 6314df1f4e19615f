# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Coordinates of nnInteractive's protocol and of a Session.

The protocol counts in the order of the client's array (axes 0, 1, 2), voxel centers at whole numbers, and its boxes are
half-open, [low, high). A Session's boxes are x0, y0, z0, x1, y1, z1, x being the last axis of the array, with inclusive
ends, and in a plane the remaining axes, last first. Nothing but this module converts between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsam_engine.session import VoxelBox

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Region:
    """Voxels [low, high) along each axis of the array; never empty.

    Attributes:
        low: first index of each axis.
        high: one past the last.
    """

    low: Shape
    high: Shape

    @property
    def sizes(self) -> Shape:
        """Voxels along each axis."""
        return _three(h - low for low, h in zip(self.low, self.high, strict=True))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """To index an array with."""
        a, b, c = (slice(low, high) for low, high in zip(self.low, self.high, strict=True))
        return a, b, c

    def united(self, other: Region | None) -> Region:
        """The smallest region that holds both."""
        if other is None:
            return self
        return Region(_three(map(min, self.low, other.low)), _three(map(max, self.high, other.high)))

    def within(self, shape: Shape) -> Region | None:
        """What of it lies in an array of this shape; None if nothing does."""
        low = _three(max(0, value) for value in self.low)
        high = _three(map(min, self.high, shape))
        return Region(low, high) if all(h > a for a, h in zip(low, high, strict=True)) else None

    def voxel_box(self) -> VoxelBox:
        """As a Session has it."""
        (z0, y0, x0), (z1, y1, x1) = self.low, self.high
        return x0, y0, z0, x1 - 1, y1 - 1, z1 - 1

    def pairs(self) -> list[list[int]]:
        """As the protocol has it."""
        return [[low, high] for low, high in zip(self.low, self.high, strict=True)]


def region_of(box: VoxelBox | None) -> Region | None:
    """A Session's box as a region."""
    if box is None:
        return None
    x0, y0, z0, x1, y1, z1 = box
    return Region((z0, y0, x0), (z1 + 1, y1 + 1, x1 + 1))


def whole(shape: Shape) -> Region:
    """All voxels of an array."""
    return Region((0, 0, 0), shape)


def rounded_region(pairs: Sequence[Sequence[float]]) -> Region:
    """A drawn box: rounded half to even, ends in either order, at least one voxel thick."""
    low, high = [], []
    for one, other in pairs:
        ends = sorted((_index(one), _index(other)))
        low.append(ends[0])
        high.append(max(ends[1], ends[0] + 1))
    return Region(_three(low), _three(high))


def rounded_voxel(point: Sequence[float], shape: Shape) -> Shape | None:
    """The voxel of a click; None outside of the array."""
    voxel = _three(map(_index, point))
    return voxel if all(0 <= index < size for index, size in zip(voxel, shape, strict=True)) else None


def bounds(mask: NDArray[np.bool_]) -> Region | None:
    """The smallest region that holds all of a mask with three axes."""
    low, high = [], []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=_others(axis)))
        if not len(found):
            return None
        low.append(int(found[0]))
        high.append(int(found[-1]) + 1)
    return Region(_three(low), _three(high))


def shifted(region: Region, by: Shape) -> Region:
    """A region of a part of an array, in the array that the part begins at `by` of."""
    return Region(
        _three(a + b for a, b in zip(region.low, by, strict=True)),
        _three(a + b for a, b in zip(region.high, by, strict=True)),
    )


def through_plane_axis(shape: Shape, spacing: Sequence[float]) -> int:
    """The axis across the planes of a picture or a stack: one that has a single plane, or the largest spacing."""
    if 1 in shape:
        return shape.index(1)
    return int(np.argmax(spacing))  # of equals, the first


def drawn_axis(region: Region, through: int) -> int:
    """The axis across the plane in which a stroke or an outline was drawn: its thinnest, of equals `through`."""
    thinnest = min(region.sizes)
    axes = [axis for axis in range(3) if region.sizes[axis] == thinnest]
    return through if through in axes else axes[0]


def plane_box(region: Region, axis: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of a region in a plane of `axis`, ends inclusive, as Session.add_box takes them."""
    across, down = _in_plane(axis)
    return region.low[across], region.low[down], region.high[across] - 1, region.high[down] - 1


def plane_point(voxel: Shape, axis: int) -> tuple[int, int]:
    """x, y of a voxel in a plane of `axis`."""
    across, down = _in_plane(axis)
    return voxel[across], voxel[down]


def plane_of(array: NDArray[np.bool_], axis: int, index: int) -> NDArray[np.bool_]:
    """A view of the plane: rows are y and columns x of plane_point."""
    plane: NDArray[np.bool_] = array[tuple(index if a == axis else slice(None) for a in range(3))]
    return plane


def plane_region(axis: int, index: int, shape: Shape) -> Region:
    """All voxels of a plane."""
    low, high = [0, 0, 0], list(shape)
    low[axis], high[axis] = index, index + 1
    return Region(_three(low), _three(high))


def _in_plane(axis: int) -> tuple[int, int]:
    """The axes of x and y in a plane: the remaining ones, last first."""
    down, across = _others(axis)
    return across, down


def _others(axis: int) -> tuple[int, int]:
    first, second = (a for a in range(3) if a != axis)
    return first, second


def _index(value: float) -> int:
    """Half to even, as Python rounds; far outside stays outside."""
    return round(max(-1e9, min(1e9, value))) if math.isfinite(value) else -1_000_000_000


def _three(values: Iterable[int]) -> Shape:
    a, b, c = values
    return int(a), int(b), int(c)
