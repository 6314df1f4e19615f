# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A mask that grows while it is propagated, plane by plane, for those who watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.serve.api.masks import sent_mask
from medsam_engine.session import VoxelBox


class Growth:
    """The planes that the running propagation has reached. Any thread.

    Attributes:
        standing: {"object", "done", "total"} of the running propagation; None while none runs.
    """

    def __init__(self) -> None:
        self.standing: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._planes: list[dict[str, Any]] = []
        self._gone = 0
        self._watchers: list[Callable[[], object]] = []

    def add(self, revision: int, name: str, before: VoxelBox | None, axis: int, index: int, mask: NDArray[Any]) -> None:
        """Keeps the mask of an object in a plane, for as long as the propagation runs.

        Args:
            revision: the step from which the propagation began: what is told has no meaning on top of another.
            name: the object.
            before: where it had voxels then.
            axis: of the array.
            index: of the plane.
            mask: (rows, columns).
        """
        box = _changed_box(before, axis, index, mask)
        if box is not None:
            part = mask[tuple(slice(low, high + 1) for low, high in _rows_and_columns(box, axis))]
            told = {"revision": revision, "mask": sent_mask(name, part, box)}
            with self._lock:
                self._planes.append(told)
        self._tell()

    def end(self) -> None:
        """Forgets the planes: whoever has not seen them yet is told of the step."""
        with self._lock:
            self._gone += len(self._planes)
            self._planes = []
            self.standing = None
        self._tell()

    def after(self, count: int) -> tuple[int, list[dict[str, Any]]]:
        """How many planes were ever kept, and those after the first `count` that are kept still."""
        with self._lock:
            return self._gone + len(self._planes), self._planes[max(0, count - self._gone) :]

    @contextmanager
    def watched(self, wake: Callable[[], object]) -> Iterator[None]:
        """Has `wake` called at every change, on the thread that makes it."""
        with self._lock:
            self._watchers.append(wake)
        try:
            yield
        finally:
            with self._lock:
                self._watchers.remove(wake)

    def _tell(self) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for wake in watchers:
            wake()


def _rows_and_columns(box: VoxelBox, axis: int) -> list[tuple[int, int]]:
    """Of a box in a plane: first and last row, first and last column."""
    return [(box[k], box[k + 3]) for k in (2, 1, 0) if k != 2 - axis]


def _changed_box(before: VoxelBox | None, axis: int, index: int, mask: NDArray[Any]) -> VoxelBox | None:
    """The box in a plane outside of which an object has nothing and had nothing; None if that is all of the plane."""
    found = [np.flatnonzero(mask.any(axis=other)) for other in (1, 0)]
    spans = [(int(places[0]), int(places[-1])) for places in found if places.size]
    if before is not None and before[2 - axis] <= index <= before[5 - axis]:
        earlier = _rows_and_columns(before, axis)
        spans = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(spans or earlier, earlier, strict=True)]
    if not spans:
        return None
    rows, columns = spans
    corners = [[columns[end], rows[end]] for end in (0, 1)]
    for corner in corners:
        corner.insert(2 - axis, index)
    (x0, y0, z0), (x1, y1, z1) = corners
    return x0, y0, z0, x1, y1, z1
