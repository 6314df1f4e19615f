# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Stand-in weights and images that are the same on every machine: numpy's RandomState is frozen, its seed the name."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

BOXES = np.array([[0.12, 0.20, 0.55, 0.71], [0.35, 0.08, 0.80, 0.46]], np.float32)  # x0, y0, x1, y1 of the frame
POINTS = np.array([[[0.31, 0.35], [0.08, 0.12]]], np.float32)  # x, y of the frame: foreground, background


def tensor(name: str, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """The tensor called `name` of a checkpoint: zeros where integers, else such that activations keep their size."""
    if not dtype.is_floating_point:
        return torch.zeros(tuple(shape), dtype=dtype)
    random = np.random.RandomState(zlib.crc32(name.encode()))
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "positional_encoding_gaussian_matrix":
        values = random.standard_normal(shape)
    elif leaf == "running_var":
        values = random.uniform(0.5, 1.5, shape)
    elif len(shape) >= 2:
        values = random.uniform(-1, 1, shape) * np.sqrt(3 / np.prod(shape[1:]))
    else:
        values = (leaf == "weight") + random.uniform(-0.2, 0.2, shape)
    return torch.from_numpy(np.asarray(values, np.float32))


def state_dict(layout: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Stand-in weights for every tensor of `layout`, whose values are not looked at."""
    return {name: tensor(name, value.shape, value.dtype) for name, value in layout.items()}


def image(size: int) -> NDArray[np.float32]:
    """(1, 3, size, size) f32: waves from -2 to 2, as normalised images are, right and bottom eighth zero."""
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [2 * np.sin(6.28 * ((3 + c) * x + (5 - 2 * c) * y) + 4 * x * y + c) for c in range(3)]
    stacked = np.stack(waves).astype(np.float32)
    inside = size - size // 8
    stacked[:, inside:] = 0
    stacked[:, :, inside:] = 0
    return stacked[np.newaxis]
