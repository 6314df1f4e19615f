# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whether two systems made the same masks: a time counts only where they did."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAME = 0.999
"""Least DSC of every object for two f32 systems to count as the same."""


@dataclass(frozen=True)
class Agreement:
    """DSC by object."""

    objects: int
    mean: float
    worst: float

    @property
    def same(self) -> bool:
        """Whether no object differs."""
        return self.worst >= SAME


def dice_by_object(ours: NDArray[np.generic], theirs: NDArray[np.generic], objects: int) -> list[float]:
    """DSC of each label 1..objects; 1 where both lack it (painted over by a later box)."""
    size = objects + 1
    first, second = ours.ravel().astype(np.int64), theirs.ravel().astype(np.int64)
    both = np.bincount(first[first == second], minlength=size)
    total = np.bincount(first, minlength=size) + np.bincount(second, minlength=size)
    return [2 * int(both[k]) / int(total[k]) if total[k] else 1.0 for k in range(1, size)]


def compare_masks(ours: Path, theirs: Path, objects: int) -> Agreement:
    """The agreement of two NPZ files with segs. ValueError when their shapes differ."""
    with np.load(ours) as first, np.load(theirs) as second:
        a, b = first["segs"], second["segs"]
    if a.shape != b.shape:
        raise ValueError(f"segs: got {a.shape} in {ours} and {b.shape} in {theirs}, expected the same shape")
    scores = dice_by_object(a, b, objects)
    return Agreement(objects, float(np.mean(scores)), float(min(scores)))
