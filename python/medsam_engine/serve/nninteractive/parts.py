# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The parts that a drawn object is made of, and which of them a new prompt belongs to.

To a client of the protocol there is one object, to which every positive prompt adds. A Session carries an object from
the planes of one axis to the planes between, and replaces what it had in a plane. So what is drawn apart, or twice in a
plane, or along another axis, is a part of its own: an object of the Session. The client's object is all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

Rectangle = tuple[int, int, int, int]  # x0, y0, x1, y1 in a plane, ends inclusive

_MARGIN = 0.5  # of a rectangle's longer side: how far a click may lie beside it and still be about it
_LEAST_MARGIN = 5  # pixels


@dataclass(frozen=True)
class Part:
    """An object of the Session.

    Attributes:
        name: its name there.
        axis: the axis along which it is carried; None for one that was begun in the whole volume.
        drawn: what was drawn in its planes, by the plane's index: the rectangle round it.
    """

    name: str
    axis: int | None
    drawn: tuple[tuple[int, Rectangle], ...] = ()

    def with_drawn(self, index: int, rectangle: Rectangle) -> Part:
        """The part after something was drawn in a plane."""
        return replace(self, drawn=(*(d for d in self.drawn if d[0] != index), (index, rectangle)))

    def has_drawn(self, index: int) -> bool:
        """Whether something was drawn in this plane."""
        return any(d[0] == index for d in self.drawn)


def overlapping(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles have a pixel in common."""
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def widened(rectangle: Rectangle) -> Rectangle:
    """A rectangle with what lies beside it and may still be about it."""
    x0, y0, x1, y1 = rectangle
    by = max(_LEAST_MARGIN, round(_MARGIN * max(x1 - x0 + 1, y1 - y0 + 1)))
    return x0 - by, y0 - by, x1 + by, y1 + by


def continued(parts: Iterable[Part], axis: int, index: int, rectangle: Rectangle, *, near: bool = False) -> Part | None:
    """The part that something drawn in a new plane continues, the latest first; None = it begins a new part.

    A part is continued along its axis, in planes in which nothing of it was drawn, where the rectangles in two planes
    overlap, or with `near` almost do.
    """
    for part in reversed(list(parts)):
        if part.axis != axis or part.has_drawn(index):
            continue
        if any(overlapping(rectangle, widened(drawn) if near else drawn) for _, drawn in part.drawn):
            return part
    return None


def unused_name(parts: Iterable[Part]) -> str:
    """A name for a new part."""
    used = {part.name for part in parts}
    return next(name for n in range(1, len(used) + 2) if (name := f"part {n}") not in used)
