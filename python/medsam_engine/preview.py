# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A volume and its labels on one sheet, for people to check. Needs Pillow (the extra [cli])."""

import math

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.overlay import displayed, draw_overlay

_GAP = 4
_MOST = 20  # slices on a sheet


def chosen_slices(labels: NDArray[np.generic], most: int = _MOST) -> list[int]:
    """At most `most` slices, evenly spread from the first to the last that has a label; over all when none has."""
    used = np.flatnonzero(labels.reshape(len(labels), -1).any(axis=1))
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, len(labels) - 1)
    count = min(most, last - first + 1)
    return [int(z) for z in np.rint(np.linspace(first, last, count))]


def contact_sheet(
    volume: NDArray[np.generic],
    labels: NDArray[np.generic],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    most: int = _MOST,
    tile: int = 256,
    opacity: float = 0.25,
) -> NDArray[np.uint8]:
    """A grid of slices in order, each with the outlines of its labels and its number.

    Args:
        volume: (D, H, W) or (D, H, W, 3); anything but uint8 is stretched over the whole volume. Of uint8 only the
            slices that `chosen_slices` names are looked at.
        labels: (D, H, W) unsigned integers.
        spacing: x, y, z in mm: pixels that are not square are drawn in their true proportion.
        most: slices to show.
        tile: longer side of a slice on the sheet, pixels.
        opacity: of the fill inside the outlines.

    Returns:
        RGB uint8 (rows, columns, 3).

    Raises:
        InvalidArgument: shapes that differ, or no slice.
    """
    if volume.shape[:3] != labels.shape or not labels.size or volume.ndim not in (3, 4):
        raise InvalidArgument(
            f"labels: got shape {labels.shape} for a volume {volume.shape}, expected the same (D, H, W); "
            "use the volume's label map"
        )
    low, high = (float(volume.min()), float(volume.max())) if volume.dtype != np.uint8 else (0.0, 255.0)
    slices = chosen_slices(labels, most)
    shape = _tile_shape(labels.shape[1:], spacing, tile)
    columns = min(len(slices), max(1, round(math.sqrt(len(slices) * shape[0] / shape[1]))))
    rows = math.ceil(len(slices) / columns)
    sheet = np.zeros((rows * (shape[0] + _GAP) + _GAP, columns * (shape[1] + _GAP) + _GAP, 3), dtype=np.uint8)
    for k, z in enumerate(slices):
        drawn = _tile(volume[z], labels[z], shape, (low, high), opacity, f"{z}")
        top, left = (_GAP + k // columns * (shape[0] + _GAP), _GAP + k % columns * (shape[1] + _GAP))
        sheet[top : top + shape[0], left : left + shape[1]] = drawn
    return sheet


def _tile_shape(shape: tuple[int, ...], spacing: tuple[float, float, float], tile: int) -> tuple[int, int]:
    height, width = shape[0] * spacing[1], shape[1] * spacing[0]
    scale = tile / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _tile(
    pixels: NDArray[np.generic],
    labels: NDArray[np.generic],
    shape: tuple[int, int],
    limits: tuple[float, float],
    opacity: float,
    name: str,
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    if pixels.dtype != np.uint8:
        values = np.asarray(pixels, dtype=np.float32)
        pixels = ((values - limits[0]) * (255.0 / max(limits[1] - limits[0], 1e-8))).round().astype(np.uint8)
    image = Image.fromarray(displayed(pixels)).resize(shape[::-1], Image.Resampling.BILINEAR)
    # Labels are sampled, never blended.
    y, x = (np.arange(n) * size // n for n, size in zip(shape, labels.shape, strict=True))
    drawn = Image.fromarray(draw_overlay(np.asarray(image), labels[y[:, np.newaxis], x], opacity=opacity, width=1))
    ImageDraw.Draw(drawn).text((4, 2), name, fill=(255, 255, 0), stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(drawn)
