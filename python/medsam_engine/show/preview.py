# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Draws a volume and its labels on one sheet, for visual checks. Needs Pillow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.label_colors import colors_of
from medsam_engine.show.axes_picture import (
    AxesPicture,
    drawn_center,
    drawn_range,
    reduced_labels,
    sheet_columns,
    tile_shape,
)
from medsam_engine.show.overlay import displayed, draw_overlay, draw_points
from medsam_engine.show.slice_axes import SliceAxes

_GAP = 4
_MOST = 20  # slices on a sheet
_SIDES = ((1, 1024), (4, 640), (9, 400))  # up to so many slices, pixels of a slice's longer side
_SIDE = 256


@dataclass(frozen=True)
class Marks:
    """Prompts to draw.

    Attributes:
        boxes: (N, 6) x0, y0, z0, x1, y1, z1, ends inclusive, in voxels; drawn on each slice that they contain.
        labels: (N,) labels whose colors the boxes get.
        points: (P, 2) x, y in pixels; drawn on every slice.
        point_labels: (P,) 1 = inside the object, 0 = outside.
        lines: (L, 5) x0, y0, x1, y1, z in voxels; drawn on their slices.
        line_labels: (L,) labels whose colors the lines get.
    """

    boxes: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 6)))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    points: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    point_labels: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    lines: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 5)))
    line_labels: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def on_slice(self, z: int, shape: tuple[int, int], drawn: tuple[int, int]) -> "Marks":
        """The prompts of slice `z` (H, W) in pixels of its picture, `drawn` (rows, columns); boxes and lines (N, 4)."""
        here = (self.boxes[:, 2] <= z) & (z <= self.boxes[:, 5])
        frames = []
        for x0, y0, _, x1, y1, _ in self.boxes[here]:
            (left, right), (top, bottom) = (
                drawn_range(first, last, count, pixels)
                for first, last, count, pixels in ((x0, x1, shape[1], drawn[1]), (y0, y1, shape[0], drawn[0]))
            )
            frames.append([left, top, right, bottom])
        crossed = self.lines[:, 4] == z
        points, ends = (
            [[drawn_center(v, n, m) for v, n, m in zip(p, shape[::-1], drawn[::-1], strict=True)] for p in given]
            for given in (self.points, self.lines[crossed, :4].reshape(-1, 2))
        )
        return Marks(
            np.array(frames, np.float64).reshape(-1, 4),
            self.labels[here],
            np.array(points, np.float64).reshape(-1, 2),
            self.point_labels,
            np.array(ends, np.float64).reshape(-1, 4),
            self.line_labels[crossed],
        )


def spread_slices(first: int, last: int, most: int = _MOST) -> list[int]:
    """At most `most` slices, evenly spread from `first` to `last`, ends inclusive."""
    return [int(z) for z in np.rint(np.linspace(first, last, min(most, last - first + 1)))]


def chosen_slices(
    labels: NDArray[np.generic], most: int = _MOST, boxes: NDArray[np.float64] | None = None
) -> list[int]:
    """At most `most` slices, evenly spread between the first and last with a label or a box (N, 6), or over all."""
    used = [int(z) for z, part in enumerate(labels) if part.any()]
    if boxes is not None:
        used += [int(z) for z in np.clip(boxes[:, [2, 5]], 0, len(labels) - 1).ravel()]
    return spread_slices(min(used, default=0), max(used, default=len(labels) - 1), most)


def contact_sheet(
    volume: NDArray[np.generic],
    labels: NDArray[np.generic],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    most: int = _MOST,
    tile: int | None = None,
    opacity: float = 0.25,
    *,
    slices: Sequence[int] | None = None,
    marks: Marks | None = None,
    axes: SliceAxes | None = None,
) -> NDArray[np.uint8]:
    """Draws slices in a grid, each with the outlines of its labels, its boxes and its number.

    Args:
        volume: (D, H, W) or (D, H, W, 3); types other than uint8 are stretched over the whole volume. With uint8,
            only the slices that are shown are read.
        labels: (D, H, W) unsigned integers.
        spacing: x, y, z in mm; pixels that are not square are drawn in proportion. Ignored if `axes` are given.
        most: largest number of slices to show if `slices` is None.
        tile: longer side of a slice on the sheet in pixels; None = larger for fewer slices.
        opacity: opacity of the fill inside the outlines.
        slices: indices of the slices to show; None = those of `chosen_slices`.
        marks: boxes and points to draw.
        axes: ticks and numbers around each slice; None = only the number of the slice.

    Returns:
        RGB uint8 (rows, columns, 3).

    Raises:
        InvalidArgument: the shapes differ, or there is no slice to show, or one does not exist.
    """
    if volume.shape[:3] != labels.shape or not labels.size or volume.ndim not in (3, 4):
        raise InvalidArgument(
            f"labels: got shape {labels.shape} for a volume {volume.shape}, expected the same (D, H, W); "
            "use the volume's label map"
        )
    marks = marks or Marks()
    shown = chosen_slices(labels, most, marks.boxes) if slices is None else list(slices)
    wrong = [z for z in shown if not 0 <= z < len(labels)]
    if wrong or not shown:
        got = wrong[0] if wrong else "none"
        raise InvalidArgument(f"slices: got {got}, expected 0 to {len(labels) - 1}; slices count from 0")
    low, high = (float(volume.min()), float(volume.max())) if volume.dtype != np.uint8 else (0.0, 255.0)
    side = tile or next((pixels for count, pixels in _SIDES if len(shown) <= count), _SIDE)
    flat = (labels.shape[1], labels.shape[2])
    shape = tile_shape(flat, axes.spacing if axes is not None else spacing, side)
    tiles = (
        (z, _tile(_gray_levels(volume[z], (low, high)), labels[z], shape, opacity, marks.on_slice(z, flat, shape)))
        for z in shown
    )
    return _sheet_of(list(tiles), shape, None if axes is None else AxesPicture(axes, flat, shape), axes)


def _sheet_of(
    tiles: list[tuple[int, NDArray[np.uint8]]],
    shape: tuple[int, int],
    picture: AxesPicture | None,
    axes: SliceAxes | None,
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    cell = shape if picture is None else picture.cell
    left, top = (0, 0) if picture is None else picture.margins[:2]
    columns = sheet_columns(len(tiles), cell)
    rows = math.ceil(len(tiles) / columns)
    sheet = np.zeros((rows * (cell[0] + _GAP) + _GAP, columns * (cell[1] + _GAP) + _GAP, 3), dtype=np.uint8)
    corners = []
    for k, (_, drawn) in enumerate(tiles):
        y = _GAP + k // columns * (cell[0] + _GAP) + top
        x = _GAP + k % columns * (cell[1] + _GAP) + left
        sheet[y : y + shape[0], x : x + shape[1]] = drawn
        corners.append((x, y))
    image = Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for (z, _), (x, y) in zip(tiles, corners, strict=True):
        if picture is not None and axes is not None:
            picture.draw(draw, (x, y), axes.title(z))
        else:
            draw.text((x + 4, y + 2), f"{z}", fill=(255, 255, 0), stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(image)


def _gray_levels(pixels: NDArray[np.generic], limits: tuple[float, float]) -> NDArray[np.generic]:
    if pixels.dtype == np.uint8:
        return pixels
    values = np.asarray(pixels, dtype=np.float32)
    return ((values - limits[0]) * (255.0 / max(limits[1] - limits[0], 1e-8))).round().astype(np.uint8)


def _tile(
    pixels: NDArray[np.generic], labels: NDArray[np.generic], shape: tuple[int, int], opacity: float, marks: Marks
) -> NDArray[np.uint8]:
    """One slice at the size `shape`, with its labels, and with marks that are already in pixels of the picture."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(displayed(pixels)).resize(shape[::-1], Image.Resampling.BILINEAR)
    drawn = draw_overlay(
        np.asarray(image),
        reduced_labels(labels, shape),
        marks.boxes,
        opacity,
        max(1, round(max(shape) / 512)),
        box_labels=marks.labels,
        box_width=int(np.clip(round(max(shape) / 640), 1, 4)),
    )
    draw_points(drawn, marks.points, marks.point_labels, max(3, max(shape) // 100))
    if not len(marks.lines):
        return drawn
    with_lines = Image.fromarray(drawn)
    pen, width = ImageDraw.Draw(with_lines), int(np.clip(round(max(shape) / 400), 1, 4))
    for ends, color in zip(marks.lines, colors_of(marks.line_labels), strict=True):
        pen.line([float(value) for value in ends], fill=(0, 0, 0), width=width + 2)  # seen on the fill of its label
        pen.line([float(value) for value in ends], fill=tuple(int(value) for value in color), width=width)
    return np.asarray(with_lines)
