# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes PNG files atomically, so that nobody can read half a mask."""

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base import whole_file
from medsam_engine.errors import InvalidArgument


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises InvalidArgument if `path` cannot become a PNG file. Call it before the work."""
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise InvalidArgument(f"output: got {target}, expected a name ending in .png; masks and overlays are PNG files")
    whole_file.check_writable(target)


def write_label_map(path: str | os.PathLike[str], labels: NDArray[np.generic]) -> int:
    """Writes labels (H, W) of an unsigned integer type as a gray PNG; returns its bits: 8 up to label 255, else 16.

    Raises:
        InvalidArgument: a label is above 65535, the type or shape is another, or the file cannot be written.
    """
    narrow = _narrow(labels)
    check_writable(path)
    whole_file.write_atomically(Path(path), _png_bytes(narrow))
    return 8 * narrow.dtype.itemsize


def label_map_bytes(labels: NDArray[np.generic]) -> bytes:
    """What `write_label_map` writes; arguments and errors are those of `write_label_map`."""
    return _png_bytes(_narrow(labels))


def _narrow(labels: NDArray[np.generic]) -> NDArray[np.unsignedinteger]:
    if labels.dtype.kind != "u" or labels.ndim != 2:
        raise InvalidArgument(
            f"labels: got {labels.dtype} of shape {labels.shape}, expected unsigned integers (H, W); convert them"
        )
    highest = int(labels.max(initial=0))
    if highest > 65535:
        raise InvalidArgument(f"labels: got label {highest}, expected at most 65535 in a PNG; write fewer at a time")
    return labels.astype(np.uint8 if highest <= 255 else np.uint16)


def write_rgb(path: str | os.PathLike[str], pixels: NDArray[np.uint8]) -> None:
    """Writes pixels (H, W, 3) uint8 as a PNG. InvalidArgument if the file cannot be written."""
    check_writable(path)
    whole_file.write_atomically(Path(path), _png_bytes(pixels))


def _png_bytes(pixels: NDArray[np.unsignedinteger]) -> bytes:
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format="PNG")
    return encoded.getvalue()
