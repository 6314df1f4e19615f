# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the clients of benchmarks.soak.serve draw: a volume and a list of steps, drawn from a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPE = (12, 160, 192)
SPACING = (2.5, 1.0, 1.0)  # z, y, x
STEPS = 10


@dataclass(frozen=True)
class Step:
    """One thing that a person does, on axis 0.

    Attributes:
        kind: box, click, scribble, lasso or undo.
        plane: the slice.
        points: x, y of its corners or points.
        positive: of a click.
        carry: whether a box is carried through the volume.
    """

    kind: str
    plane: int = 0
    points: tuple[tuple[int, int], ...] = ()
    positive: bool = True
    carry: bool = False


def volume(number: int) -> NDArray[np.uint8]:
    """Noise, and ellipsoids that are brighter. Different for each number."""
    draw = np.random.default_rng(number)
    values = draw.integers(0, 60, SHAPE)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    for _ in range(3):
        cz, cy, cx = draw.uniform(0.25, 0.75, 3) * SHAPE
        ellipsoid = ((z - cz) / 5) ** 2 + ((y - cy) / 24) ** 2 + ((x - cx) / 28) ** 2 < 1
        values[np.broadcast_to(ellipsoid, SHAPE)] += 60
    return values.astype(np.uint8)


def steps(number: int) -> list[Step]:
    """A first box, and what comes to a person's mind after it."""
    draw = np.random.default_rng(1000 + number)
    drawn = [_box(draw)]
    for _ in range(STEPS - 1):
        kind = str(draw.choice(["box", "click", "scribble", "lasso", "undo"], p=[0.25, 0.3, 0.15, 0.1, 0.2]))
        drawn.append(Step("undo") if kind == "undo" else _box(draw) if kind == "box" else _stroke(draw, kind))
    return drawn


def _box(draw: Any) -> Step:
    x, y = _point(draw)
    width, height = (int(n) for n in draw.integers(20, 60, 2))
    return Step("box", _plane(draw), ((x, y), (x + width, y + height)), carry=bool(draw.random() < 0.3))


def _stroke(draw: Any, kind: str) -> Step:
    x, y = _point(draw)
    if kind == "click":
        return Step(kind, _plane(draw), ((x, y),), positive=bool(draw.random() < 0.7))
    if kind == "scribble":  # along a row, so that the client's pixels are the line's points
        return Step(kind, _plane(draw), tuple((x + k, y) for k in range(int(draw.integers(4, 30)))))
    size = int(draw.integers(15, 40))
    return Step(kind, _plane(draw), ((x, y), (x + size, y), (x + size, y + size), (x, y + size)))


def _plane(draw: Any) -> int:
    return int(draw.integers(0, SHAPE[0]))


def _point(draw: Any) -> tuple[int, int]:
    return int(draw.integers(5, SHAPE[2] - 70)), int(draw.integers(5, SHAPE[1] - 70))
