# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Axes around the picture of a slice: ticks in voxels (top, left) and in mm (bottom, right). Needs Pillow."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medsam_engine.show.slice_axes import SliceAxes, decimals, ticks

if TYPE_CHECKING:
    from PIL import ImageDraw

_TITLE, _VOXELS, _MM, _FRAME = (255, 255, 0), (225, 225, 225), (120, 190, 255), (110, 110, 110)
_FEWEST_PIXELS = 5  # between two ticks


def drawn_range(first: float, last: float, count: int, drawn: int) -> tuple[int, int]:
    """Which of `drawn` pixels show the pixels `first` to `last` of `count`, ends inclusive on both sides.

    The drawn pixel p shows pixel p * count // drawn. Where a picture is reduced so far that none shows them, the
    nearest is named.
    """
    low, high = (int(np.clip(end, 0, count - 1)) for end in (first, last))
    start = min(-(-low * drawn // count), drawn - 1)
    return start, max(start, -(-(high + 1) * drawn // count) - 1)


def drawn_center(index: float, count: int, drawn: int) -> float:
    """Where among `drawn` pixels the center of pixel `index` of `count` lies; whole numbers are left edges."""
    return (index + 0.5) * drawn / count


class Margins(NamedTuple):
    """Pixels around a slice for its axes and its title."""

    left: int
    top: int
    right: int
    bottom: int


class _Side(NamedTuple):
    """Numbers along one axis: positions in drawn pixels with text, and those of ticks without."""

    numbers: list[tuple[float, str]]
    small: list[float]


class AxesPicture:
    """Draws the axes of slices of `shape` (H, W), each drawn on `drawn` (rows, columns) pixels."""

    def __init__(self, axes: SliceAxes, shape: tuple[int, int], drawn: tuple[int, int]) -> None:
        from PIL import ImageFont

        self._axes, self._shape, self._drawn = axes, shape, drawn
        size = int(np.clip(round(max(drawn) / 64), 10, 64))
        self._font: Any = ImageFont.load_default(size)
        self._tick, self._line = max(3, size // 3), max(1, size // 14)
        # Captions end where the number of the first column cannot reach.
        self._caption_gap = self._tick + self._width("000") // 2
        self._height = math.ceil(self._font.getbbox("0123456789-")[3])
        self._sides = self._made_sides()
        self.margins = self._made_margins()

    def _width(self, text: str) -> int:
        return int(np.ceil(self._font.getlength(text)))

    def _made_sides(self) -> dict[str, _Side]:
        (height, width), (rows, columns) = self._shape, self._drawn
        wide, high = 5 * self._width("0"), 3 * self._height  # what one number may take along x and along y
        sides = {"top": self._voxels(width, columns, wide), "left": self._voxels(height, rows, high)}
        if self._axes.mm is not None:
            x, y, _ = self._axes.mm
            sides["bottom"] = self._along(width, columns, wide + self._width("-.0"), x.at, x.step)
            sides["right"] = self._along(height, rows, high, y.at, y.step)
        return sides

    def _voxels(self, count: int, drawn: int, room: int) -> _Side:
        return self._along(count, drawn, room, float, 0.0)

    def _along(self, count: int, drawn: int, room: int, at: Callable[[float], float], step: float) -> _Side:
        """Ticks at round numbers of `at`, a linear function of the index with slope `step` (0: the index itself)."""
        first, last = (0.0, count - 1.0) if step == 0 else (at(0.0), at(count - 1.0))
        most = max(1, drawn // room)
        values, apart = ticks(first, last, most, whole=step == 0)

        def position(value: float) -> float:
            return drawn_center(value if step == 0 else (value - first) / step, count, drawn)

        numbers = [(position(value), f"{value + 0.0:.{decimals(apart)}f}") for value in values]
        per_tick = drawn * apart / max(abs(last - first), apart) / 5
        small = []
        if per_tick >= _FEWEST_PIXELS and (step != 0 or apart >= 5):
            fifth = apart / 5
            places = range(math.ceil(min(first, last) / fifth - 1e-6), math.floor(max(first, last) / fifth + 1e-6) + 1)
            small = [position(k * fifth) for k in places]
        return _Side(numbers, small)

    def _made_margins(self) -> Margins:
        def widest(name: str, *captions: str) -> int:
            numbers = [self._width(text) + self._tick + 6 for _, text in self._sides[name].numbers]
            return max(numbers + [self._width(text) + self._caption_gap + 3 for text in captions])

        top = 2 * self._height + self._tick + 6
        if self._axes.mm is None:
            return Margins(widest("left", "voxel"), top, self._width("000") // 2 + 2, 4)
        x, y, _ = self._axes.mm
        captions = (f"{x.name} mm", f"{y.name} mm")
        return Margins(
            widest("left", "voxel", captions[0]), top, widest("right", captions[1]), self._height + self._tick + 4
        )

    @property
    def cell(self) -> tuple[int, int]:
        """Rows and columns of a slice with its margins; at least as wide as its title."""
        rows, columns = self._drawn
        left, top, right, bottom = self.margins
        return rows + top + bottom, max(columns + left + right, left + self._width(self._axes.title(9999)) + 4)

    def draw(self, draw: "ImageDraw.ImageDraw", corner: tuple[int, int], title: str) -> None:
        """Draws the axes of the slice whose first pixel lies at `corner` (x, y) of the picture."""
        x0, y0 = corner
        rows, columns = self._drawn
        x1, y1 = x0 + columns, y0 + rows
        tick, line = self._tick, self._line
        draw.rectangle((x0 - 1, y0 - 1, x1, y1), outline=_FRAME)
        draw.text((x0, y0 - tick - self._height - 4), title, font=self._font, fill=_TITLE, anchor="ls")
        draw.text((x0 - self._caption_gap, y0 - tick - 3), self._unit(), font=self._font, fill=_VOXELS, anchor="rs")
        for name, color in (("top", _VOXELS), ("bottom", _MM), ("left", _VOXELS), ("right", _MM)):
            side = self._sides.get(name)
            if side is None:
                continue
            for place in [place for place, _ in side.numbers] + side.small:
                length = tick if any(place == number for number, _ in side.numbers) else max(2, tick // 2)
                if name in ("top", "bottom"):
                    edge, end = (y0 - 1, y0 - length) if name == "top" else (y1, y1 + length - 1)
                    draw.line((x0 + int(place), edge, x0 + int(place), end), fill=color, width=line)
                else:
                    edge, end = (x0 - 1, x0 - length) if name == "left" else (x1, x1 + length - 1)
                    draw.line((edge, y0 + int(place), end, y0 + int(place)), fill=color, width=line)
            for place, text in side.numbers:
                where, anchor = {
                    "top": ((x0 + place, y0 - tick - 3), "ms"),
                    "bottom": ((x0 + place, y1 + tick + 1), "mt"),
                    "left": ((x0 - tick - 3, y0 + place), "rm"),
                    "right": ((x1 + tick + 3, y0 + place), "lm"),
                }[name]
                draw.text(where, text, font=self._font, fill=color, anchor=anchor)
        self._name_mm(draw, x0, y0, x1, y1)

    def _unit(self) -> str:
        return "voxel" if self._axes.is_volume else "pixel"

    def _name_mm(self, draw: "ImageDraw.ImageDraw", x0: int, y0: int, x1: int, y1: int) -> None:
        if self._axes.mm is None:
            return
        x, y, _ = self._axes.mm
        draw.text((x0 - self._caption_gap, y1 + self._tick + 1), f"{x.name} mm", font=self._font, fill=_MM, anchor="rt")
        draw.text(
            (x1 + self._tick + 3, y0 - self._tick - self._height - 4),
            f"{y.name} mm",
            font=self._font,
            fill=_MM,
            anchor="ls",
        )


def sheet_columns(count: int, cell: tuple[int, int]) -> int:
    """How many cells (rows, columns) beside each other make `count` of them about square, rather wide than high."""
    return min(count, math.ceil(math.sqrt(count * cell[0] / cell[1]) - 1e-9))


def tile_shape(shape: tuple[int, ...], spacing: Sequence[float], tile: int) -> tuple[int, int]:
    """Rows and columns of a slice (H, W) in true proportion whose longer side takes `tile` pixels."""
    most = max(spacing[:2])
    height, width = shape[0] * (spacing[1] / most), shape[1] * (spacing[0] / most)  # however small or large they are
    scale = tile / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def image_tile(shape: tuple[int, ...], spacing: Sequence[float], least: int = 640, most: int = 4096) -> int:
    """Longer side for a picture of its own: no pixel is lost below `most`, and small images are enlarged to `least`."""
    narrow, wide = sorted(spacing[:2])
    if narrow < wide / most:
        return most
    longer = max(shape[0] * (spacing[1] / narrow), shape[1] * (spacing[0] / narrow))
    return int(np.clip(round(longer), least, most))


def reduced_labels(labels: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.generic]:
    """Labels (H, W) sampled, never blended, on `shape`."""
    y, x = (np.arange(n) * size // n for n, size in zip(shape, labels.shape, strict=True))
    return np.asarray(labels[y[:, np.newaxis], x])
