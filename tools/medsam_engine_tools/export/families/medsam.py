# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MedSAM: SAM's ViT-B at 1024 (bowang-lab/MedSAM, branch main); SAM's own ViT-B, ViT-L and ViT-H share the layout."""

from __future__ import annotations

from functools import partial

from medsam_engine_tools.export.family import BOX_ONLY, Family
from medsam_engine_tools.export.native.sam import native_sam
from medsam_engine_tools.export.native.sam_decoder import NativeSamDecoder
from medsam_engine_tools.export.nn.image_vit import VIT_B, VIT_H, VIT_L, ImageVit, Size
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
from medsam_engine_tools.export.sam import Sam, sam_graphs

INPUT_SIZE = 1024
SIZES = {"vit_b": VIT_B, "vit_l": VIT_L, "vit_h": VIT_H}
DECODER = NativeSamDecoder(grid=64, frame=INPUT_SIZE)


def build(size: Size) -> Sam:
    """The architecture with untrained weights."""
    encoder = ImageVit(size, INPUT_SIZE)
    return Sam(encoder, PromptEncoder(256, encoder.grid, frame=INPUT_SIZE), MaskDecoder())


FAMILY = Family(
    name="medsam",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="medsam",
    trained_prompts=BOX_ONLY,
    sizes={key: partial(build, size) for key, size in SIZES.items()},
    graphs=partial(sam_graphs, input_size=INPUT_SIZE, frame=INPUT_SIZE),
    native=dict.fromkeys(SIZES, native_sam(INPUT_SIZE, DECODER)),
)
