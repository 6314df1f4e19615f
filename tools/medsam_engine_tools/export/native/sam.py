# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's models as native networks: the decoder that families share, and the encoder where there are kernels for it."""

from __future__ import annotations

from medsam_engine_tools.export.native.model import NativeModel, Network
from medsam_engine_tools.export.native.sam_decoder import NativeSamDecoder
from medsam_engine_tools.export.sam_tensors import sam_tensors


def native_sam(input_size: int, decoder: NativeSamDecoder, encoder: Network | None = None) -> NativeModel:
    """The native networks of a model that has SAM's decoder; without `encoder`, that one has its graph alone.

    input_size: side of the encoder's input, pixels.
    """
    tensors = sam_tensors(input_size, decoder.grid, decoder.dim)
    if encoder is not None:
        return NativeModel({"encoder": encoder, "decoder": decoder}, tensors)
    return NativeModel({"decoder": decoder}, {name: t for name, t in tensors.items() if name != "encoder"})
