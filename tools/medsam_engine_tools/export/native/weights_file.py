# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The file of a native network: safetensors with f32 tensors and one metadata entry (docs/bundle.md).

Written here and not by the safetensors package: a certificate names the file by its hash, so the order of the tensors
and of the header must not move with another package's version, and whoever only fetches needs one package less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "medsam-engine fused 1"  # cpp/src/backends/native/weights.cpp reads it
ALIGNMENT = 8  # of the first tensor, in bytes: safetensors pads its header to it

Arrays = Mapping[str, NDArray[Any]]


def content(architecture: str, entries: Mapping[str, str | list[int]], tensors: Arrays) -> bytes:
    """The file's bytes; the same weights give the same bytes.

    `entries` are the values that the shapes do not determine; the tensors, of any real dtype, are rounded to f32.
    """
    about = {"format": FORMAT, "architecture": architecture, **entries}
    # One entry: safetensors has them in no order.
    header: dict[str, Any] = {"__metadata__": {"medsam_engine": json.dumps(about, sort_keys=True)}}
    parts, end = [], 0
    for name in sorted(tensors):
        part = np.ascontiguousarray(tensors[name], dtype="<f4")
        parts.append(part.tobytes())
        header[name] = {"dtype": "F32", "shape": list(part.shape), "data_offsets": [end, end + part.nbytes]}
        end += part.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def write(path: Path, architecture: str, entries: Mapping[str, str | list[int]], tensors: Arrays) -> None:
    """Writes the file, as `content` makes it."""
    path.write_bytes(content(architecture, entries, tensors))
