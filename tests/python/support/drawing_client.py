# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A client of the protocol without HTTP, which keeps its own mask as clients do and compares it with what is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medsam_engine.serve.nninteractive.drawing import Drawing
from medsam_engine.serve.nninteractive.geometry import Region, whole

# The tiny model's mask is the box that it is asked for, if that begins and ends at even pixels of a plane whose longer
# side is 32.
SHAPE = (32, 28, 32)
PAIRS = [[8, 16], [4, 12], [6, 20]]


class DrawingClient:
    """What a client does with the replies: it writes the new contents into its own mask."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing, self.mask = drawing, np.zeros(drawing.shape, np.bool_)

    def __call__(self, function: Callable[..., None], *arguments: object) -> Region | None:
        with self.drawing.interaction():
            function(self.drawing, *arguments)
        return self.take()

    def undo(self) -> bool:
        done = self.drawing.undo()
        self.take()
        return done

    def take(self) -> Region | None:
        region = self.drawing.change()
        if region is not None:
            new = self.drawing.shown[region.slices]
            changed = new != self.mask[region.slices]
            for axis in range(3):  # tight: something changed in each of its outer planes
                assert changed.take(0, axis).any()
                assert changed.take(-1, axis).any()
            self.mask[region.slices] = new
        np.testing.assert_array_equal(self.mask, self.drawing.object_in(whole(self.drawing.shape)))
        return region


def thin_box(axis: int, index: int = 12) -> list[list[float]]:
    """PAIRS, one voxel thick along an axis."""
    pairs: list[list[float]] = [[float(low), float(high)] for low, high in PAIRS]
    pairs[axis] = [index, index + 1]
    return pairs
