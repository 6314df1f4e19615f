# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Draws a label map over its image, for visual checks. Needs NumPy only."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.label_colors import colors_of
from medsam_engine.prompts import box_array

_IN_OBJECT, _OUTSIDE, _BORDER = (0, 230, 0), (255, 40, 40), (0, 0, 0)  # of points


def displayed(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """An image (H, W) or (H, W, 1 or 3) as a new RGB uint8 (H, W, 3); other types are stretched to 0..255."""
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise InvalidArgument(f"image: got shape {image.shape}, expected (H, W) or (H, W, 3); choose the channels")
    if pixels.dtype != np.uint8:
        values = pixels.astype(np.float32)
        low, high = float(values.min()), float(values.max())
        pixels = ((values - low) * (255.0 / max(high - low, 1e-8))).round().astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels.copy()


def outlines(labels: NDArray[np.generic], width: int = 1) -> NDArray[np.bool_]:
    """Labeled pixels within `width` pixels of another label (4-neighbors) or of the image's edge."""
    edge: NDArray[np.bool_] = np.zeros(labels.shape, dtype=np.bool_)
    for distance in range(1, width + 1):
        padded = np.pad(labels, distance, constant_values=0)
        height, columns = labels.shape
        for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
            y, x = dy * distance, dx * distance
            edge |= padded[y : y + height, x : x + columns] != labels
    edge &= labels != 0
    return edge


def draw_overlay(
    image: NDArray[np.generic],
    labels: NDArray[np.generic],
    boxes: ArrayLike | None = None,
    opacity: float = 0.35,
    width: int | None = None,
    *,
    box_labels: ArrayLike | None = None,
    box_width: int = 1,
) -> NDArray[np.uint8]:
    """Draws each label with a translucent fill and a solid outline, and boxes as thin frames.

    Args:
        image: (H, W) or (H, W, 3), any dtype; anything but uint8 is stretched from its minimum to its maximum.
        labels: (H, W) unsigned integers, 0 = background; colors are those of `colors_of`.
        boxes: (N, 4) x0, y0, x1, y1, ends inclusive; None = not drawn.
        opacity: opacity of the fill, 0 to 1.
        width: width of the outline in pixels; None = about 1/400 of the longer side.
        box_labels: (N,) labels whose colors the boxes get; None = 1 to N.
        box_width: width of the frames in pixels, measured inwards from the first and last pixel of the box.

    Returns:
        RGB uint8 (H, W, 3), a new array.

    Raises:
        InvalidArgument: the shapes differ, or the opacity is outside 0 to 1.
    """
    canvas = displayed(image)
    if labels.shape != canvas.shape[:2]:
        raise InvalidArgument(
            f"labels: got shape {labels.shape}, expected {canvas.shape[:2]}; use the image's label map"
        )
    if not 0.0 <= opacity <= 1.0:
        raise InvalidArgument(f"opacity: got {opacity}, expected 0 to 1; 0.35 is the default")
    frames = np.empty((0, 4)) if boxes is None else box_array(boxes)
    owners = np.arange(1, len(frames) + 1) if box_labels is None else np.asarray(box_labels)
    if owners.shape != (len(frames),):
        raise InvalidArgument(f"box_labels: got shape {owners.shape}, expected ({len(frames)},); name one per box")
    inside = labels != 0
    # Labels are any numbers up to 2**32 - 1: colors are made for those that occur.
    values, place = np.unique(labels[inside], return_inverse=True)
    colors = colors_of(values)[place]
    canvas[inside] = (canvas[inside] * (1.0 - opacity) + colors * opacity).round().astype(np.uint8)
    edge = outlines(labels, width if width is not None else max(1, round(max(labels.shape) / 400)))
    canvas[edge] = colors[edge[inside]]
    for frame, color in zip(frames, colors_of(owners), strict=True):
        _draw_frame(canvas, frame, color, box_width)
    return canvas


def _draw_frame(canvas: NDArray[np.uint8], frame: NDArray[np.float64], color: NDArray[np.uint8], thick: int) -> None:
    height, width = canvas.shape[:2]
    x0, x1 = (int(np.clip(x, 0, width - 1)) for x in frame[[0, 2]])
    y0, y1 = (int(np.clip(y, 0, height - 1)) for y in frame[[1, 3]])
    if y1 < y0 or x1 < x0:
        return  # reversed: nothing lies in it
    across, down = min(thick, x1 - x0 + 1), min(thick, y1 - y0 + 1)
    for k in range(down):
        canvas[[y0 + k, y1 - k], x0 : x1 + 1] = color
    for k in range(across):
        canvas[y0 : y1 + 1, [x0 + k, x1 - k]] = color


def draw_points(canvas: NDArray[np.uint8], points: ArrayLike, point_labels: ArrayLike, arm: int = 3) -> None:
    """Draws a cross with a black border at each point of a picture (H, W, 3) uint8, in place.

    Args:
        canvas: the picture.
        points: (P, 2) x, y in pixels of the picture; crosses are clipped to the picture.
        point_labels: (P,) 1 = inside the object (green), 0 = outside (red).
        arm: length of each of the four arms in pixels.
    """
    height, width = canvas.shape[:2]
    for (x, y), label in zip(np.asarray(points).reshape(-1, 2), np.asarray(point_labels).ravel(), strict=True):
        column, row = int(x), int(y)
        for color, border in ((_BORDER, 1), (_IN_OBJECT if label else _OUTSIDE, 0)):
            for half_height, half_width in ((arm + border, border), (border, arm + border)):
                top, bottom = max(0, row - half_height), min(height, row + half_height + 1)
                left, right = max(0, column - half_width), min(width, column + half_width + 1)
                canvas[top:bottom, left:right] = color
