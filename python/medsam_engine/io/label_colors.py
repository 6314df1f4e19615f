# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The color of each label, in files that hold colors and in pictures."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN_RATIO = 0.618033988749895


def label_colors(count: int) -> NDArray[np.uint8]:
    """The colors of the labels 1 to `count`: (count, 3) RGB uint8."""
    return colors_of(np.arange(1, count + 1))


def colors_of(labels: ArrayLike) -> NDArray[np.uint8]:
    """One saturated color per label: (N, 3) RGB uint8 for labels (N,) of 1 or more. A label always has the same color.

    Hues advance by the golden ratio, so that consecutive labels differ.
    """
    order = np.asarray(labels, dtype=np.int64) - 1
    hue = (order * _GOLDEN_RATIO) % 1.0 * 6.0
    # HSV to RGB at full saturation; the three channels are one trapezoid shifted by a third of the circle.
    channels = [np.clip(np.abs((hue + shift) % 6.0 - 3.0) - 1.0, 0.0, 1.0) for shift in (0.0, 4.0, 2.0)]
    # Value 1 for the first turn of hues, darker after: more than a dozen hues are hard to tell apart.
    value = np.where(order // 12 % 2 == 0, 255.0, 170.0)
    return np.stack([channel * value for channel in channels], axis=-1).round().astype(np.uint8)
