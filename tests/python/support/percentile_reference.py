# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Percentiles of a volume that is looked at in parts, where sorting would need several times its memory."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_HALF = 16  # bits

Parts = Callable[[], Iterable[NDArray[np.generic]]]


def positive_percentiles(parts: Parts, percentiles: Sequence[float]) -> list[float] | None:
    """Percentiles of the values above 0, rounded to float32, exactly as np.percentile gives them for float64.

    Positive float32 values sort as their bits do, read as integers. So they are counted by the upper half of their
    bits, and then by the lower half those few among which a percentile lies.

    Args:
        parts: gives the arrays, of any shape, that the values are in; called twice. No value may be NaN.
        percentiles: 0 to 100.

    Returns:
        One number for each percentile; None when no value is above 0.
    """
    upper = _counts(bits >> _HALF for bits in _positive_bits(parts))
    count = int(upper.sum())
    if count == 0:
        return None
    places = [(count - 1) * (percentile / 100) for percentile in percentiles]
    ranks = sorted({min(math.floor(place) + step, count - 1) for place in places for step in (0, 1)})
    values = dict(zip(ranks, _ranked(parts, upper, ranks), strict=True))
    return [_between(place, values, count) for place in places]


def _positive_bits(parts: Parts) -> Iterator[NDArray[np.uint32]]:
    for part in parts():
        yield np.asarray(part[np.greater(part, 0)]).astype(np.float32).view(np.uint32)


def _counts(halves: Iterable[NDArray[np.integer]]) -> NDArray[np.int64]:
    counts = np.zeros(1 << _HALF, np.int64)
    for half in halves:
        counts += np.bincount(half, minlength=1 << _HALF)
    return counts


def _ranked(parts: Parts, upper: NDArray[np.int64], ranks: list[int]) -> list[float]:
    """The values that would stand at `ranks` if all were sorted."""
    ends = np.cumsum(upper)
    heads = [int(head) for head in np.searchsorted(ends, ranks, side="right")]
    lower = {head: np.zeros(1 << _HALF, np.int64) for head in heads}
    for bits in _positive_bits(parts):
        for head in lower:
            tails = bits[bits >> _HALF == head] & ((1 << _HALF) - 1)
            lower[head] += np.bincount(tails, minlength=1 << _HALF)
    values = []
    for rank, head in zip(ranks, heads, strict=True):
        before = int(ends[head] - upper[head])
        tail = int(np.searchsorted(np.cumsum(lower[head]), rank - before, side="right"))
        values.append(float(np.array(head << _HALF | tail, np.uint32).view(np.float32)))
    return values


def _between(place: float, values: dict[int, float], count: int) -> float:
    """Linear between the two neighbors, rounded as NumPy rounds it."""
    first = math.floor(place)
    low, high, share = values[first], values[min(first + 1, count - 1)], place - first
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share
