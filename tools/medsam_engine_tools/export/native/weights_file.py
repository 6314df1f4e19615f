# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The file of a native network: safetensors with f32 tensors and one metadata entry (docs/bundle.md).

Written here and not by the safetensors package: a certificate names the file by its hash, so the order of the tensors
and of the header must not move with another package's version, and whoever only fetches needs one package less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine_tools.errors import ExportError

FORMAT = "medsam-engine fused 1"  # cpp/src/backends/native/weights.cpp reads it
ALIGNMENT = 8  # of the first tensor, in bytes: safetensors pads its header to it


def rounded(name: str, tensor: NDArray[Any]) -> NDArray[np.float32]:
    """In f32; raises ExportError where a value is not finite, since no parity check would see it later."""
    with np.errstate(over="ignore"):
        part = np.ascontiguousarray(tensor, dtype="<f4")
    if not np.isfinite(part).all():
        raise ExportError(
            f"weights: got a value that is not finite in {name}, expected finite ones in f32; the checkpoint is damaged"
            " or its training failed: give the published weights file"
        )
    return part


def content(architecture: str, entries: Mapping[str, str | list[int]], tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The file's bytes; the same weights give the same bytes.

    `entries` are the values that the shapes do not determine; the tensors are rounded to f32. ExportError as `rounded`.
    """
    about = {"format": FORMAT, "architecture": architecture, **entries}
    # One entry: readers of safetensors keep them in no order.
    header: dict[str, Any] = {"__metadata__": {"medsam_engine": json.dumps(about, sort_keys=True)}}
    parts, end = [], 0
    for name in sorted(tensors):
        part = rounded(name, tensors[name])
        parts.append(part.tobytes())
        header[name] = {"dtype": "F32", "shape": list(part.shape), "data_offsets": [end, end + part.nbytes]}
        end += part.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])
