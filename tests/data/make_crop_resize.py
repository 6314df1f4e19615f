# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes tests/data/crop_resize.bin: what torch's antialiased bilinear makes of crops of many shapes.

Little-endian; for each case height, width, channels, side as int32, then (3, side, side) float32. The crops themselves
are `pixels`, which tests/cpp/kernels/pixels/test_crop_resize.cpp repeats. Run this again only to change the cases:
    python tests/data/make_crop_resize.py
"""

import struct
from pathlib import Path

import numpy as np
import torch

CASES = [  # height, width, channels, side
    (1, 1, 3, 4),
    (1, 9, 3, 5),
    (7, 1, 1, 5),
    (8, 8, 3, 8),
    (12, 12, 3, 6),
    (37, 23, 3, 8),
    (5, 6, 3, 13),
    (3, 40, 1, 9),
    (90, 2, 3, 9),
    (255, 301, 3, 7),
    (2600, 1700, 3, 6),
]


def pixels(height: int, width: int, channels: int) -> np.ndarray:
    """(H, W, C) u8 without any smoothness: a multiplicative hash of the position."""
    position = np.arange(height * width * channels, dtype=np.uint64).reshape(height, width, channels)
    return ((position * np.uint64(2654435761) % np.uint64(1 << 32)) >> np.uint64(24)).astype(np.uint8)


def resized(crop: np.ndarray, side: int) -> np.ndarray:
    """As MCP-MedSAM:infer.py m2_pre_img does: ToTensor, then Resize(antialias=True)."""
    planes = torch.from_numpy(crop).permute(2, 0, 1).expand(3, -1, -1).float() / 255
    out = torch.nn.functional.interpolate(
        planes[None], (side, side), mode="bilinear", antialias=True, align_corners=False
    )
    return out[0].numpy()


if __name__ == "__main__":
    with Path(__file__).with_name("crop_resize.bin").open("wb") as stream:
        for case in CASES:
            stream.write(struct.pack("<4i", *case))
            stream.write(resized(pixels(*case[:3]), case[3]).astype("<f4").tobytes())
