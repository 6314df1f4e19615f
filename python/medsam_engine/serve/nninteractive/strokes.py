# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Strokes and outlines: what clients send as masks, as the lines that a Session takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from medsam_engine.serve.log import log_event

# Neighbors of a pixel clockwise (rows count down), from the one on the left.
_AROUND = ((0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1))
_MOST_LINE_PIXELS = 20_000  # of a brush stroke; a Session takes 100,000 points
_MOST_PIECES = 8  # of one drawing in one plane; each is a prediction


def _labeled(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """The connected parts (8 neighbors) of a plane's mask by their numbers, the largest 1; 0 outside."""
    import SimpleITK  # where it is used: it takes a moment to be imported

    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    labels = SimpleITK.RelabelComponent(SimpleITK.ConnectedComponent(image, True), sortByObjectSize=True)
    found: NDArray[np.uint32] = SimpleITK.GetArrayFromImage(labels)
    return found


def pieces_in(mask: NDArray[np.bool_]) -> int:
    """The number of connected parts of a plane's mask."""
    return int(_labeled(mask).max())


def pieces_hit(mask: NDArray[np.bool_], pixels: NDArray[np.int_]) -> NDArray[np.bool_]:
    """The connected parts of a plane's mask on which any of the pixels (N, 2) x, y lies."""
    labels = _labeled(mask)
    hit = labels[pixels[:, 1], pixels[:, 0]]
    return np.isin(labels, hit[hit != 0])


def largest_pieces(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The connected parts of what was drawn in a plane, the largest first, at most eight; the log has the others."""
    labels = _labeled(mask)
    count = int(labels.max())
    if count > _MOST_PIECES:
        log_event("pieces_left_out", level=logging.WARNING, drawn=count, used=_MOST_PIECES)
    return [labels == label for label in range(1, min(count, _MOST_PIECES) + 1)]


def outline_of(piece: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The centers x, y of the pixels on the outer edge of a connected mask, in order, (N, 2), N >= 3.

    The closed line through them, with what it contains, is the mask with its holes filled. Moore's neighbor tracing
    with Jacob's stopping criterion.
    """
    padded = np.pad(piece, 1)
    start = _first(padded)
    back = (start[0], start[1] - 1)  # its left neighbor is outside, because it is the first in its row
    line = [start]
    seen = {(start, back)}
    at = start
    while True:
        step = _next_on_edge(padded, at, back)
        if step is None or step in seen:
            break
        seen.add(step)
        at, back = step
        line.append(at)
    points = np.array(line, np.float64)[:, ::-1] - 1.0
    return np.concatenate([points] * -(-3 // len(points))) if len(points) < 3 else points


def _first(mask: NDArray[np.bool_]) -> tuple[int, int]:
    row = int(np.flatnonzero(mask.any(axis=1))[0])
    return row, int(np.flatnonzero(mask[row])[0])


def _next_on_edge(
    mask: NDArray[np.bool_], at: tuple[int, int], back: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The next pixel clockwise from `back`, and the one outside from which it was come upon."""
    begin = _AROUND.index((back[0] - at[0], back[1] - at[1]))
    outside = back
    for turn in range(1, 9):
        down, right = _AROUND[(begin + turn) % 8]
        neighbor = (at[0] + down, at[1] + right)
        if mask[neighbor]:
            return neighbor, outside
        outside = neighbor
    return None


def lines_of(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """For each connected part of a stroke, a line (N, 2) x, y that walks over its pixels and never leaves them.

    Of a part with more than 20,000 pixels, only so many are walked over.
    """
    return [np.array(list(_walk(piece)), np.float64) for piece in largest_pieces(mask)]


def _walk(piece: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Depth first, back over pixels where the way ends, so that each step is to a neighbor."""
    rows, columns = np.nonzero(piece)
    left = set(zip(rows.tolist(), columns.tolist(), strict=True))
    at = (int(rows[0]), int(columns[0]))
    left.discard(at)
    path = [at]
    yield at[1], at[0]
    most = _MOST_LINE_PIXELS
    while path and left and most:
        row, column = path[-1]
        ahead = next(((row + d, column + r) for d, r in _AROUND if (row + d, column + r) in left), None)
        if ahead is None:
            path.pop()
            if not path:
                return
            row, column = path[-1]
        else:
            left.discard(ahead)
            path.append(ahead)
            most -= 1
            row, column = ahead
        yield column, row
