# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes tests/data/spline_resize.bin: what scikit-image makes of small images, for tests/cpp/kernels.

Each case, little-endian: six int32 (pixel type as kernels::PixelType, height, width, channels, new height, new width),
the pixels, then the resized image in float64. f32 pixels are widened first; skimage would keep them f32.
Written with scikit-image 0.26.0 and scipy 1.17.1. Run this again only to change the cases:
    python tests/data/make_spline_resize.py
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

TYPES = (np.uint8, np.uint16, np.int16, np.float32)
# type, (height, width, channels), (new height, new width)
NOISE: list[tuple[type[Any], tuple[int, int, int], tuple[int, int]]] = [
    (np.uint8, (61, 47, 3), (24, 17)),  # shrinks
    (np.uint8, (17, 23, 1), (40, 64)),  # grows
    (np.uint8, (50, 20, 3), (30, 40)),  # one of each
    (np.uint8, (20, 53, 1), (37, 16)),
    (np.uint8, (45, 31, 3), (45, 16)),  # one axis kept
    (np.uint8, (12, 10, 3), (12, 10)),  # both kept
    (np.uint8, (33, 1, 1), (16, 1)),  # one pixel wide
    (np.uint8, (1, 9, 3), (4, 5)),
    (np.uint8, (1, 1, 1), (3, 2)),
    (np.uint8, (2, 3, 3), (7, 5)),
    (np.uint8, (90, 40, 1), (1, 2)),  # a Gaussian longer than the image
    (np.uint8, (21, 100, 3), (20, 90)),  # too little for a Gaussian
    (np.uint16, (40, 50, 3), (16, 20)),
    (np.int16, (25, 34, 1), (18, 40)),
    (np.float32, (30, 26, 3), (11, 29)),
]


def noise(random: np.random.Generator, dtype: type[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Uniform over the whole range of an integer type; +-1000 for floats."""
    if dtype is np.float32:
        return random.uniform(-1000, 1000, shape).astype(np.float32)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def flat_areas(random: np.random.Generator) -> NDArray[np.uint8]:
    """Noise on the left, level 200 in the middle, 255 on the right, (30, 90, 1)."""
    image = noise(random, np.uint8, (30, 90, 1))
    image[:, 30:60] = 200
    image[:, 60:] = 255
    return image


def case(image: NDArray[Any], size: tuple[int, int]) -> bytes:
    """One record of the file."""
    wide = image.astype(np.float64)
    out = resize(wide, (*size, image.shape[2]), order=3, preserve_range=True, anti_aliasing=True)
    header = np.array([TYPES.index(image.dtype.type), *image.shape, *size], "<i4")
    little = image.astype(image.dtype.newbyteorder("<"))
    return header.tobytes() + little.tobytes() + np.asarray(out).astype("<f8").tobytes()


def main() -> None:
    random = np.random.default_rng(1)
    records = [case(flat_areas(random), (23, 70))]
    records += [case(noise(random, dtype, shape), size) for dtype, shape, size in NOISE]
    Path(__file__).with_name("spline_resize.bin").write_bytes(b"".join(records))


if __name__ == "__main__":
    main()
