# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Masks on the wire: a box of voxels, and the lengths of its runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.session import VoxelBox


def runs_of(mask: NDArray[np.bool_]) -> list[int]:
    """The lengths of the runs of a mask in C order. The first run is of False, and 0 long if the mask begins with True.

    An empty mask has no runs.
    """
    values = np.ascontiguousarray(mask).reshape(-1)
    if not values.size:
        return []
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    lengths = np.diff(edges, prepend=0, append=values.size)
    runs: list[int] = lengths.tolist()
    return [0, *runs] if values[0] else runs


def mask_of(runs: Sequence[int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask of `shape` that `runs` describe. InvalidArgument: a negative run, or runs of another sum."""
    size = int(np.prod(shape, dtype=np.int64))
    # Summed as Python's integers: a sum that wraps would pass for the right one.
    if any(run < 0 for run in runs) or sum(runs) != size:
        raise InvalidArgument(f"runs: got {len(runs)} with a sum of {sum(runs)}, expected the box's {size} voxels")
    values = np.zeros(len(runs), dtype=bool)
    values[1::2] = True
    return np.repeat(values, np.asarray(runs, dtype=np.int64)).reshape(shape)


def overlap(one: VoxelBox | None, other: VoxelBox | None) -> bool:
    """Whether two boxes share a voxel."""
    if one is None or other is None:
        return False
    return all(one[k] <= other[k + 3] and other[k] <= one[k + 3] for k in range(3))


def sent_mask(name: str, mask: NDArray[np.bool_], box: VoxelBox) -> dict[str, object]:
    """What the page is told of an object's mask within a box; `mask` is that part of it."""
    return {"object": name, "box": list(box), "runs": runs_of(mask)}
