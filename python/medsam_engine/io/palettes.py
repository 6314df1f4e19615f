# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Palettes (color lookup tables) of TIFF and DICOM as 8-bit colors."""

import numpy as np
from numpy.typing import NDArray


def eight_bit_palette(table: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Entries (N, 3) of 16 bits, or of 8, as the colors (N, 3) uint8 that they stand for.

    Both formats keep a color in the high byte of 16 bits (TIFF 6.0 section 5, DICOM PS3.3 C.7.9). Some writers keep it
    in the low byte; libtiff, too, takes a table without any entry above 255 as one of those.
    """
    high = table.dtype.itemsize > 1 and int(table.max(initial=0)) > 255
    return (table >> 8).astype(np.uint8) if high else table.astype(np.uint8)
