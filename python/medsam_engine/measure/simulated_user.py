# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A user who knows the true mask: the box or click that begins an object, and clicks on the worst error.

Coordinates are pixels; the spacing of a volume plays no part. Everything is determined by the masks.
"""

from __future__ import annotations  # keeps NDArray short in help()

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medsam_engine.io.extras import require

Start = Literal["box", "click", "slice-box"]
STARTS: tuple[str, ...] = get_args(Start)


@dataclass(frozen=True)
class Click:
    """A click in a plane along the first axis.

    Attributes:
        x, y: the pixel.
        slice: the number of the plane.
        positive: whether it is on the object, which the mask has missed there.
    """

    x: int
    y: int
    slice: int
    positive: bool


def tight_box(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """The box of a mask, (H, W) or (D, H, W), that has a pixel: x0, y0[, z0], x1, y1[, z1], ends inclusive."""
    ends = [np.flatnonzero(mask.any(axis=tuple(k for k in range(mask.ndim) if k != axis)))[[0, -1]]
            for axis in reversed(range(mask.ndim))]  # fmt: skip
    return tuple(int(end[k]) for k in (0, 1) for end in ends)


def middle_slice(truth: NDArray[np.bool_]) -> int:
    """Of the slices of (D, H, W) with a voxel, the one nearest to the middle of their range; of two, the lower."""
    occupied = np.flatnonzero(truth.any(axis=(1, 2)))
    return int(occupied[np.argmin(np.abs(2 * occupied - (occupied[0] + occupied[-1])))])


def deepest_pixel(region: NDArray[np.bool_]) -> tuple[float, int, int]:
    """How far the pixel of a region (H, W) that is farthest from the region's edge lies from it, its y and its x.

    The distance is Euclidean, to the nearest pixel outside; beyond the image is outside. Of several, the pixel of the
    lowest index. Without a pixel, the distance is 0.
    """
    if not region.any():
        return 0.0, 0, 0
    ndimage: Any = require("scipy.ndimage", "eval --interactive")
    x0, y0, x1, y1 = tight_box(region)
    distance = ndimage.distance_transform_edt(np.pad(region[y0 : y1 + 1, x0 : x1 + 1], 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return float(distance[y, x]), int(y) + y0, int(x) + x0


def next_click(truth: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Click | None:
    """The click that corrects the worst error of a mask; None where there is none.

    The slice is the one with the most wrong voxels (of several, the lowest). In it, the click is the deepest pixel of
    what the mask misses or of what it has too much, whichever is deeper (of equals, the lower index).

    Args:
        truth: (D, H, W) bool.
        mask: (D, H, W) bool; all False for the first click on an object.
    """
    wrong = np.count_nonzero(truth != mask, axis=(1, 2))
    z = int(np.argmax(wrong))
    if not wrong[z]:
        return None
    missed, y, x = deepest_pixel(truth[z] & ~mask[z])
    extra, other_y, other_x = deepest_pixel(mask[z] & ~truth[z])
    if (missed, -y, -x) > (extra, -other_y, -other_x):
        return Click(x, y, z, True)
    return Click(other_x, other_y, z, False)
