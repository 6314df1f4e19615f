# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Boxes from millimetres and from label maps, in the engine's form: voxel indices, ends inclusive. Needs NumPy only."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.medical_image import MedicalImage


def boxes_from_mm(boxes_mm: ArrayLike, image: MedicalImage) -> NDArray[np.int64]:
    """Boxes in millimetres as voxel indices.

    A volume, and a slice that lies in space, takes two opposite corners x0, y0, z0, x1, y1, z1 in LPS (x to the
    patient's left, y to the back, z to the head), as SimpleITK and DICOM have it; NIfTI viewers that show RAS negate x
    and y. The corners may come in any order. Where the grid is oblique to these axes, the index box that holds all
    eight corners is taken. An image that does not lie in space takes x0, y0, x1, y1 from the centre of its first pixel,
    along its rows and columns. A coordinate belongs to the voxel whose centre is nearest.

    Args:
        boxes_mm: (N, 6) or (N, 4).
        image: for its grid.

    Returns:
        (N, 6) for a volume, (N, 4) for an image: x0, y0[, z0], x1, y1[, z1], ends inclusive.

    Raises:
        InvalidArgument: a wrong count of numbers, an image of unknown spacing, a corner outside the image.
    """
    count = 6 if image.is_volume or image.positioned else 4
    boxes = np.asarray(boxes_mm, dtype=np.float64).reshape(-1, np.shape(boxes_mm)[-1])
    if boxes.shape[1] != count or not np.isfinite(boxes).all():
        wanted = "x0,y0,z0,x1,y1,z1 (LPS)" if count == 6 else "x0,y0,x1,y1"
        raise InvalidArgument(f"box in mm: got {boxes.shape[1]} numbers, expected {wanted}, finite; see boxes_from_mm")
    if not image.spaced:
        raise InvalidArgument(
            f"box in mm: got {image.path}, which has no pixel spacing, expected a medical image; give voxel indices"
        )
    sizes = np.array(([1, *image.grid] if len(image.grid) == 2 else list(image.grid))[::-1])
    return np.array([_box_from_mm(box, image, sizes, count) for box in boxes], dtype=np.int64).reshape(
        -1, 6 if image.is_volume else 4
    )


def _box_from_mm(
    box: NDArray[np.float64], image: MedicalImage, sizes: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    low, high = box[: count // 2], box[count // 2 :]
    if count == 4:
        low, high = np.append(low, 0.0), np.append(high, 0.0)
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    index = image.index_from_mm(corners)
    start, end = index.min(axis=0), index.max(axis=0)
    # A grid's voxels reach half a voxel around their centres; the small allowance is for rounding.
    if (start < -0.5 - 1e-3).any() or (end > sizes - 0.5 + 1e-3).any():
        inside = image.affine[:3, :3] @ np.array(np.meshgrid(*[[-0.5, n - 0.5] for n in sizes])).reshape(3, -1)
        inside = inside + np.asarray(image.origin)[:, np.newaxis]
        extent = ", ".join(
            f"{axis} {part.min():.1f} to {part.max():.1f}" for axis, part in zip("xyz", inside, strict=True)
        )
        raise InvalidArgument(
            f"box in mm: got {', '.join(f'{value:g}' for value in box)}, expected a box inside "
            f"{image.path} ({extent}); coordinates are LPS"
        )
    ends = np.clip(np.floor([start + 0.5, end + 0.5]), 0, sizes - 1).astype(np.int64)
    kept = ends if image.is_volume else ends[:, :2]
    return kept.ravel()


def check_boxes(
    boxes: NDArray[np.float64], grid: tuple[int, ...], names: Callable[[int], str] = "boxes[{}]".format
) -> list[str]:
    """Refuses before a model is loaded what the engine would refuse: boxes outside the grid, reversed or not finite.

    As the engine, it takes an end of x, y or z that is the side itself for the last pixel, and says so.

    Args:
        boxes: (N, 6) of a volume or (N, 4) of an image: x0, y0[, z0], x1, y1[, z1], ends inclusive.
        grid: (D, H, W) or (H, W).
        names: what the user calls the box of an index from 0.

    Returns:
        a note for each end that lies beyond the last pixel: "box 1: x1 512 lies outside ...".

    Raises:
        InvalidArgument: naming the first such box and the axis.
    """
    sizes = grid[::-1]
    axes = len(sizes)
    notes = []
    for k, box in enumerate(boxes):
        got = f"{names(k)}: got ({', '.join(f'{value:.10g}' for value in box)})"
        if not np.isfinite(box).all():
            raise InvalidArgument(f"{got}, expected finite numbers; correct the box")
        for name, low, high, size in zip("xyz"[:axes], box[:axes], box[axes:], sizes, strict=True):
            if high < low:
                raise InvalidArgument(f"{got}, which is reversed; expected {name}0 <= {name}1")
            if low < 0 or low > size - 1 or high > size:
                raise InvalidArgument(
                    f"{got}, outside the image of {' x '.join(str(n) for n in sizes)} ({', '.join('xyz'[:axes])}); "
                    f"expected inclusive indices, 0 <= {name} <= {size - 1}"
                )
            if name == "z" and not (low.is_integer() and high.is_integer()):
                raise InvalidArgument(f"{got}, expected whole slice numbers; correct z")
            if high > size - 1:
                notes.append(
                    f"{names(k)}: {name}1 {high:.10g} lies outside the image (0 to {size - 1}); "
                    f"ends are inclusive, so it became {size - 1}"
                )
    return notes


def check_points(points: ArrayLike, grid: tuple[int, ...]) -> None:
    """Likewise for points (P, 2), x, y, of an image (H, W) or a volume of one slice, named from 1. InvalidArgument."""
    height, width = grid[-2:]
    for k, (x, y) in enumerate(np.asarray(points, dtype=np.float64).reshape(-1, 2)):
        if not (0 <= x < width and 0 <= y < height):  # false for NaN
            raise InvalidArgument(
                f"point {k + 1}: got ({x:.10g}, {y:.10g}), expected (x, y) inside the image of "
                f"{width} x {height} (x, y)"
            )


def boxes_from_labels(labels: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tight box of each label that occurs, ascending.

    Args:
        labels: unsigned integers (D, H, W) or (H, W), 0 = background.

    Returns:
        boxes (N, 6) or (N, 4), x first, ends inclusive, and their labels (N,).
    """
    places = np.nonzero(labels)
    values, index = np.unique(np.asarray(labels[places]), return_inverse=True)
    axes = len(places)
    boxes = np.empty((len(values), 2 * axes), dtype=np.int64)
    for k, coordinates in enumerate(places[::-1]):
        low = np.full(len(values), np.iinfo(np.int64).max)
        high = np.full(len(values), -1)
        np.minimum.at(low, index, coordinates)
        np.maximum.at(high, index, coordinates)
        boxes[:, k], boxes[:, axes + k] = low, high
    return boxes, values.astype(np.int64)


def jittered(boxes: NDArray[np.int64], amount: int, grid: tuple[int, ...], seed: int = 0) -> NDArray[np.int64]:
    """Moves each side outwards in x and y by 0 to `amount` pixels, at random, within the grid.

    As MedSAM's training does it (bowang-lab/MedSAM, train_one_gpu.py, bbox_shift), for boxes looser than a person's.

    Args:
        boxes: (N, 6) or (N, 4), ends inclusive.
        amount: 0 or more.
        grid: (D, H, W) or (H, W).
        seed: the same seed gives the same boxes.
    """
    if amount < 0:
        raise InvalidArgument(f"jitter: got {amount}, expected 0 pixels or more; 5 is what MedSAM was trained with")
    axes = len(grid)
    shift = np.random.default_rng(seed).integers(0, amount, (len(boxes), 4), endpoint=True)
    moved = boxes.copy()
    for k in (0, 1):
        moved[:, k] = np.maximum(boxes[:, k] - shift[:, k], 0)
        moved[:, axes + k] = np.minimum(boxes[:, axes + k] + shift[:, 2 + k], grid[-1 - k] - 1)
    return moved
