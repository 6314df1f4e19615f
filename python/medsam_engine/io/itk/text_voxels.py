# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Voxels that a NRRD or MetaImage file holds as text, as binary ones.

ITK's NRRD library copies a token of any length into a buffer of fixed size, so it gets none.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from medsam_engine.errors import InvalidArgument

_LONGEST_TOKEN = 64  # characters; a double needs 24


def binary_voxels(data: BinaryIO, count: int, dtype: str, path: Path) -> bytes:
    """The next `count` numbers of `data`, separated by blanks, as little-endian values of `dtype`.

    `data` is read whole: `count` is known to fit into it. InvalidArgument: another count, a token that is no number of
    the type.
    """
    tokens = data.read().split()
    if len(tokens) != count:
        raise InvalidArgument(f"image: got {len(tokens)} numbers as text in {path}, expected {count}; it is damaged")
    if max(map(len, tokens)) > _LONGEST_TOKEN:
        raise InvalidArgument(f"image: got a number of more than {_LONGEST_TOKEN} characters in {path}; it is damaged")
    kind = np.dtype(dtype)
    try:
        if kind.kind == "f":
            return np.array(tokens).astype(np.float64).astype(kind).tobytes()
        wide = np.array(tokens).astype(np.uint64 if dtype == "uint64" else np.int64)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(f"image: got text that is no {dtype} in {path}, expected numbers; {error}") from error
    values = wide.astype(kind)
    if (values != wide).any():
        raise InvalidArgument(f"image: got a number beyond {dtype} in {path}, expected the header's type; correct it")
    return values.astype(kind.newbyteorder("<")).tobytes()
