# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Makes boxes from millimeters and from label maps, as voxel indices with inclusive ends. Needs NumPy only."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.medical_image import MedicalImage


def boxes_from_mm(boxes_mm: ArrayLike, image: MedicalImage) -> NDArray[np.int64]:
    """Converts boxes from millimeters to voxel indices.

    For a volume, or a slice with a known position, a box is given as two opposite corners x0, y0, z0, x1, y1, z1 in LPS
    (x to the patient's left, y to the back, z to the head), as in SimpleITK and DICOM. For coordinates in RAS, as some
    NIfTI viewers show them, negate x and y. The corners may be in any order. If the grid is oblique to these axes, the
    result is the index box that contains all eight corners. For an image without a position, a box is x0, y0, x1, y1,
    measured from the center of the first pixel along rows and columns. A coordinate belongs to the voxel with the
    nearest center.

    Args:
        boxes_mm: (N, 6) or (N, 4), in mm.
        image: image whose grid is used.

    Returns:
        (N, 6) for a volume, (N, 4) for an image: x0, y0[, z0], x1, y1[, z1], ends inclusive.

    Raises:
        InvalidArgument: the number of columns is wrong, the spacing is unknown, or a corner is outside the image.
    """
    boxes = np.asarray(boxes_mm, dtype=np.float64).reshape(-1, np.shape(boxes_mm)[-1])
    _check_mm(boxes, image, "box")
    return np.array([_box_from_mm(box, image) for box in boxes], dtype=np.int64).reshape(
        -1, 6 if image.is_volume else 4
    )


def line_from_mm(line_mm: ArrayLike, image: MedicalImage) -> NDArray[np.float64]:
    """Converts a longest diameter from millimeters to continuous pixels on the nearest slice.

    Args:
        line_mm: its two ends, x0, y0, z0, x1, y1, z1 or x0, y0, x1, y1 in mm, as `boxes_from_mm` takes two corners.
        image: image whose grid is used.

    Returns:
        (2, 3) for a volume, (2, 2) for an image: x, y[, z] of each end; z is a whole number.

    Raises:
        InvalidArgument: the number of columns is wrong, the spacing is unknown, or an end is outside the image.
    """
    line = np.asarray(line_mm, dtype=np.float64).reshape(1, -1)
    _check_mm(line, image, "line")
    index = _index_inside(line[0].reshape(2, -1), line[0], image, "line")
    index[:, 2] = np.floor(index[:, 2] + 0.5)
    index = np.clip(index, 0, _sizes(image) - 1)  # the half pixel round the centers of the outer ones
    return index if image.is_volume else index[:, :2]


def _check_mm(rows: NDArray[np.float64], image: MedicalImage, what: str) -> None:
    """The numbers per row, and that millimeters mean something in this image."""
    count = 6 if image.is_volume or image.positioned else 4
    if rows.shape[1] != count or not np.isfinite(rows).all():
        wanted = "x0,y0,z0,x1,y1,z1 (LPS)" if count == 6 else "x0,y0,x1,y1"
        got = f"{rows.shape[1]} numbers" if rows.shape[1] != count else "NaN or an infinity"
        raise InvalidArgument(f"{what} in mm: got {got}, expected {wanted}, finite; see boxes_from_mm")
    if not image.spaced:
        raise InvalidArgument(
            f"{what} in mm: got {image.path}, which has no pixel spacing, expected a medical image; give voxel indices"
        )


def _sizes(image: MedicalImage) -> NDArray[np.int64]:
    """Voxels along x, y and z."""
    return np.array([1, *image.grid][-3:][::-1], dtype=np.int64)


def _box_from_mm(box: NDArray[np.float64], image: MedicalImage) -> NDArray[np.int64]:
    axes = len(box) // 2
    corners = np.array(np.meshgrid(*zip(box[:axes], box[axes:], strict=True))).reshape(axes, -1).T
    index = _index_inside(corners, box, image, "box")
    ends = np.floor([index.min(axis=0) + 0.5, index.max(axis=0) + 0.5])
    ends = np.clip(ends, 0, _sizes(image) - 1).astype(np.int64)
    kept = ends if image.is_volume else ends[:, :2]
    return kept.ravel()


def _index_inside(
    points: NDArray[np.float64], given: NDArray[np.float64], image: MedicalImage, what: str
) -> NDArray[np.float64]:
    """The continuous indices (P, 3) of points (P, 3) or (P, 2) in mm; InvalidArgument names `given` and the extent."""
    if points.shape[1] == 2:
        points = np.column_stack([points, np.zeros(len(points))])
    index, sizes = image.index_from_mm(points), _sizes(image)
    # A grid's voxels reach half a voxel around their centers; the small allowance is for rounding.
    if (index < -0.5 - 1e-3).any() or (index > sizes - 0.5 + 1e-3).any():
        inside = image.affine[:3, :3] @ np.array(np.meshgrid(*[[-0.5, n - 0.5] for n in sizes])).reshape(3, -1)
        inside = inside + np.asarray(image.origin)[:, np.newaxis]
        extent = ", ".join(
            f"{axis} {part.min():.1f} to {part.max():.1f}" for axis, part in zip("xyz", inside, strict=True)
        )
        raise InvalidArgument(
            f"{what} in mm: got {', '.join(f'{value:g}' for value in given)}, expected a {what} inside "
            f"{image.path} ({extent}); coordinates are LPS"
        )
    return index


def check_boxes(
    boxes: NDArray[np.float64], grid: tuple[int, ...], names: Callable[[int], str] = "boxes[{}]".format
) -> list[str]:
    """Checks boxes as the engine does, without a model: they must be finite, ordered and inside the grid.

    As in the engine, an end in x, y or z that equals the side counts as the last pixel; the result has a note on it.

    Args:
        boxes: (N, 6) for a volume or (N, 4) for an image: x0, y0[, z0], x1, y1[, z1], ends inclusive.
        grid: (D, H, W) or (H, W).
        names: returns the user's name of a box, given its index from 0.

    Returns:
        One note per end that lies beyond the last pixel: "box 1: x1 512 lies outside ...".

    Raises:
        InvalidArgument: a box is not valid; the message names the first one and the axis.
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
    """As `check_boxes`, for points (P, 2) x, y in an image (H, W) or a volume of one slice; messages count from 1."""
    height, width = grid[-2:]
    for k, (x, y) in enumerate(np.asarray(points, dtype=np.float64).reshape(-1, 2)):
        if not (0 <= x < width and 0 <= y < height):  # false for NaN
            raise InvalidArgument(
                f"point {k + 1}: got ({x:.10g}, {y:.10g}), expected (x, y) inside the image of "
                f"{width} x {height} (x, y)"
            )


def boxes_from_labels(labels: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tight box of each label that occurs, in ascending order of the labels.

    Args:
        labels: unsigned integers (D, H, W) or (H, W), 0 = background.

    Returns:
        Boxes (N, 6) or (N, 4), x first, ends inclusive, and their labels (N,).
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

    MedSAM's training loosens boxes in this way (bowang-lab/MedSAM, train_one_gpu.py, bbox_shift).

    Args:
        boxes: (N, 6) or (N, 4), ends inclusive.
        amount: largest shift in pixels, 0 or more.
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
