# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The inputs and outputs of SAM's models, as docs/bundle.md words them."""

from __future__ import annotations

from medsam_engine_tools.export.family import ModelTensors, TensorSpec


def sam_tensors(input_size: int, grid: int, channels: int = 256) -> dict[str, ModelTensors]:
    """Those of encoder, decoder and decoder_mask; `grid` and `channels` are the image embedding's."""
    side = 4 * grid
    image = TensorSpec("image", "f32", ("batch", 3, input_size, input_size))
    embedding = TensorSpec("image_embedding", "f32", ("batch", channels, grid, grid))
    inputs = (
        TensorSpec("image_embedding", "f32", (1, channels, grid, grid)),
        TensorSpec("point_coords", "f32", ("prompts", "tokens", 2)),
        TensorSpec("point_labels", "i32", ("prompts", "tokens")),
        TensorSpec("mask_index", "i32", ("masks",)),
    )
    outputs = (
        TensorSpec("low_res_logits", "f32", ("prompts", "masks", side, side)),
        TensorSpec("iou_predictions", "f32", ("prompts", "masks")),
    )
    mask_input = TensorSpec("mask_input", "f32", ("prompts", 1, side, side))
    return {
        "encoder": ModelTensors((image,), (embedding,)),
        "decoder": ModelTensors(inputs, outputs),
        "decoder_mask": ModelTensors((*inputs, mask_input), outputs),
    }
