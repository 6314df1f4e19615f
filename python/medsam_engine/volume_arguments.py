# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The arguments of calls about volumes as callers write them, into what the compiled core takes.

Ranges (finite, above 0) are the core's to check.
"""

from collections.abc import Sequence

from medsam_engine.errors import InvalidArgument
from medsam_engine.prompts import plain_array


def core_spacing(spacing: Sequence[float] | None, flat: bool = False, absent: float = 0.0) -> list[float]:
    """x, y, z in mm, or x, y of a `flat` image; `absent` each where nothing is given.

    Raises:
        InvalidArgument: another number of values, or no numbers.
    """
    if spacing is None:
        return [absent] * 3
    expected = f"{'x, y' if flat else 'x, y, z'} in mm"
    values = plain_array("spacing", spacing, expected)
    if values.dtype.kind not in "iuf" or values.ndim != 1:
        raise InvalidArgument(f"spacing: got {values.dtype} of shape {values.shape}, expected {expected}")
    if len(values) != 3 and not (flat and len(values) == 2):
        raise InvalidArgument(f"spacing: got {len(values)} numbers, expected {expected}")
    return [float(v) for v in values] if len(values) == 3 else [*map(float, values), 1.0]


def core_planes(planes: str) -> str:
    """InvalidArgument: neither "slices" nor "three"."""
    if planes not in ("slices", "three"):
        raise InvalidArgument(f'planes: got {planes!r}, expected "slices" or "three"')
    return planes
