# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes tests/data/antialiased_resize.bin: what Pillow's bilinear makes of small images, for tests/cpp/kernels.

Each case, little-endian: six int32 (pixel type as kernels::PixelType, height, width, channels, new height, new width),
the pixels, then the resized image: uint8 of uint8 images (modes "L" and "RGB"), else float32 (mode "F", a channel at a
time). Each axis is asked for by itself, x first, as Pillow 11.3 does in one call; 13.0 begins with y where the height
shrinks the more. Written with Pillow 13.0.0, the same file by 11.3.0. Run this again only to change the cases:
    python tests/data/make_antialiased_resize.py
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TYPES = (np.uint8, np.uint16, np.int16, np.float32)
# type, (height, width, channels), (new height, new width)
CASES: list[tuple[type[Any], tuple[int, int, int], tuple[int, int]]] = [
    (np.uint8, (41, 37, 3), (16, 13)),  # shrinks
    (np.uint8, (97, 61, 1), (31, 64)),
    (np.uint8, (17, 23, 1), (40, 64)),  # grows
    (np.uint8, (9, 11, 3), (33, 31)),
    (np.uint8, (50, 20, 3), (30, 40)),  # one of each
    (np.uint8, (20, 53, 1), (37, 16)),
    (np.uint8, (45, 31, 3), (45, 16)),  # one axis kept
    (np.uint8, (45, 31, 1), (17, 31)),
    (np.uint8, (12, 10, 3), (12, 10)),  # both kept
    (np.uint8, (33, 1, 1), (16, 1)),  # one pixel wide
    (np.uint8, (1, 9, 3), (4, 5)),
    (np.uint8, (1, 1, 1), (3, 2)),
    (np.uint8, (1, 1, 3), (1, 1)),
    (np.uint8, (30, 25, 3), (1, 1)),
    (np.uint8, (32, 40, 3), (16, 20)),  # whole factors
    (np.uint8, (60, 44, 1), (15, 88)),
    (np.uint8, (90, 40, 1), (1, 2)),  # a window as long as the image
    (np.uint8, (11, 60, 3), (10, 59)),  # by a hair
    (np.uint16, (24, 30, 3), (10, 12)),
    (np.int16, (25, 34, 1), (18, 40)),
    (np.float32, (18, 16, 3), (7, 19)),
    (np.float32, (14, 9, 1), (14, 21)),
]


def noise(random: np.random.Generator, dtype: type[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Uniform over the whole range of an integer type; +-1000 for floats."""
    if dtype is np.float32:
        return random.uniform(-1000, 1000, shape).astype(np.float32)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def edges(random: np.random.Generator) -> NDArray[np.uint8]:
    """Black, white and flat areas with sharp borders, where rounding shows, (40, 90, 1)."""
    image = np.zeros((40, 90, 1), np.uint8)
    image[7:, 20:50] = 255
    image[:, 50:70] = 200
    image[::2, 70:] = 255
    image[30:] = noise(random, np.uint8, (10, 90, 1))
    return image


def resized(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Pillow's result, (new height, new width, channels); uint8 or float32."""

    def one(pixels: NDArray[Any]) -> NDArray[Any]:
        along_x = Image.fromarray(pixels).resize((size[1], pixels.shape[0]), Image.Resampling.BILINEAR)
        return np.asarray(along_x.resize((size[1], size[0]), Image.Resampling.BILINEAR))

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return one(image)
    wide = image if image.dtype == np.uint8 else image.astype(np.float32)
    return np.stack([one(np.ascontiguousarray(wide[..., c])) for c in range(image.shape[2])], axis=2)


def case(image: NDArray[Any], size: tuple[int, int]) -> bytes:
    """One record of the file."""
    out = resized(image, size)
    header = np.array([TYPES.index(image.dtype.type), *image.shape, *size], "<i4")
    little = image.astype(image.dtype.newbyteorder("<"))
    return header.tobytes() + little.tobytes() + out.astype(out.dtype.newbyteorder("<")).tobytes()


def main() -> None:
    random = np.random.default_rng(1)
    records = [case(edges(random), (23, 70)), case(edges(random), (57, 128))]
    records += [case(noise(random, dtype, shape), size) for dtype, shape, size in CASES]
    Path(__file__).with_name("antialiased_resize.bin").write_bytes(b"".join(records))


if __name__ == "__main__":
    main()
