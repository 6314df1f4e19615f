# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Swin-LiteMedSAM: tiny Swin at 256 with skip features, asked with a box, points and a scribble.

Published: RuochenGao/Swin_LiteMedSAM; docs/families/swin_litemedsam.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medsam_engine_tools.export.family import Family, Graph, TensorSpec
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
from medsam_engine_tools.export.nn.swin import SwinTransformer
from medsam_engine_tools.export.nn.swin_decoder import SwinMaskDecoder
from medsam_engine_tools.export.sam import Sam, decoder_cases, smooth_maps

INPUT_SIZE = 256
GRID = 64
# The encoder's outputs beside the embedding that a decoder takes, with their shapes but for the batch.
TERMS = {"upscaling1_term": (GRID**2, 256), "upscaling2_term": (GRID**2, 4, 64)}


def build() -> Sam:
    """The architecture with untrained weights."""
    encoder = SwinTransformer(INPUT_SIZE)
    return Sam(encoder, PromptEncoder(256, encoder.grid, frame=INPUT_SIZE), SwinMaskDecoder())


class Encoder(nn.Module):
    """The image encoder, and everything else of the image that no prompt changes."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder, self.mask_decoder = sam.image_encoder, sam.mask_decoder

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """image_embedding, the two TERMS, image_foreground (B, 1, S, S) f32: 1 where a channel is above 0."""
        assert isinstance(self.mask_decoder, SwinMaskDecoder)
        embedding, skips = self.image_encoder(image)
        # The published sampler looks at the mean of the channels (infer.py:get_points_256), none of which is negative.
        foreground = (image.amax(dim=1, keepdim=True) > 0).float()
        return (embedding, *self.mask_decoder.image_terms(skips), foreground)


class Decoder(nn.Module):
    """Prompt encoder and mask decoder as one graph."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = sam.prompt_encoder, sam.mask_decoder

    def forward(
        self,
        image_embedding: Tensor,
        upscaling1_term: Tensor,
        upscaling2_term: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_index: Tensor,
        mask_input: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The inputs and outputs of docs/bundle.md's decoder."""
        assert isinstance(self.mask_decoder, SwinMaskDecoder)
        image = image_embedding.flatten(2).transpose(1, 2) + self.prompt_encoder.dense(mask_input)
        sparse = self.prompt_encoder.tokens(point_coords, point_labels)
        positions, terms = self.prompt_encoder.dense_positions(), (upscaling1_term, upscaling2_term)
        return self.mask_decoder.forward_with(image, positions, sparse, mask_index, terms)


def graphs(model: nn.Module) -> tuple[Graph, ...]:
    """encoder, decoder and decoder_mask; runs the image encoder once for the parity cases."""
    assert isinstance(model, Sam)
    encoder, decoder = Encoder(model), Decoder(model)
    images = torch.stack([smooth_maps(3, INPUT_SIZE), 1 - smooth_maps(3, INPUT_SIZE)])
    images[:, :, 7 * INPUT_SIZE // 8 :] = 0  # padding, so that image_foreground is not one value
    with torch.no_grad():
        embedding, *terms = encoder(images[:1])[:3]
    cases = tuple((embedding, *terms, *prompt) for _, *prompt in decoder_cases(embedding, INPUT_SIZE))
    scribbles = (smooth_maps(4, INPUT_SIZE) > 0.7).float().unsqueeze(1)
    embedding_shape = (256, GRID, GRID)
    per_image = {"image_embedding": embedding_shape, **TERMS}
    inputs = (
        *(TensorSpec(name, "f32", (1, *shape)) for name, shape in per_image.items()),
        TensorSpec("point_coords", "f32", ("prompts", "tokens", 2)),
        TensorSpec("point_labels", "i32", ("prompts", "tokens")),
        TensorSpec("mask_index", "i32", ("masks",)),
    )
    outputs = (
        TensorSpec("low_res_logits", "f32", ("prompts", "masks", INPUT_SIZE, INPUT_SIZE)),
        TensorSpec("iou_predictions", "f32", ("prompts", "masks")),
    )
    mask_input = TensorSpec("mask_input", "f32", ("prompts", 1, INPUT_SIZE, INPUT_SIZE))
    encoded = {**per_image, "image_foreground": (1, INPUT_SIZE, INPUT_SIZE)}
    return (
        Graph(
            "encoder",
            encoder,
            (TensorSpec("image", "f32", ("batch", 3, INPUT_SIZE, INPUT_SIZE)),),
            tuple(TensorSpec(name, "f32", ("batch", *shape)) for name, shape in encoded.items()),
            ((images,), (images[:1],)),
        ),
        Graph("decoder", decoder, inputs, outputs, cases),
        Graph(
            "decoder_mask",
            decoder,
            (*inputs, mask_input),
            outputs,
            tuple((*case, scribbles[: case[-2].shape[0]]) for case in cases),
        ),
    )


FAMILY = Family(
    name="swin_litemedsam",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="swin_litemedsam",
    sizes={"swin_tiny": build},
    graphs=graphs,
    mask_input="scribble",
    from_box="points_and_scribble",
    trained_prompts=(("box", "points", "scribble"),),  # a box alone gets its points and scribble from `from_box`
)
