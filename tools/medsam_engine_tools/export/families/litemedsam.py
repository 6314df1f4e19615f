# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""LiteMedSAM: TinyViT at 256 with SAM's prompt encoder and mask decoder (bowang-lab/MedSAM, branch LiteMedSAM)."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from medsam_engine_tools.export.family import BOX_ONLY, Family
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
from medsam_engine_tools.export.nn.tiny_vit import TinyVit
from medsam_engine_tools.export.sam import Sam, sam_graphs

INPUT_SIZE = 256


def build() -> Sam:
    """The architecture with untrained weights."""
    encoder = TinyVit(INPUT_SIZE, patch_kernel=1, patch_stride=1)
    return Sam(encoder, PromptEncoder(256, encoder.grid, frame=INPUT_SIZE), MaskDecoder())


FAMILY = Family(
    name="litemedsam",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="litemedsam",
    trained_prompts=BOX_ONLY,
    sizes={"tiny_vit": build},
    graphs=partial(sam_graphs, input_size=INPUT_SIZE, frame=INPUT_SIZE),
    fused_encoder=attrgetter("image_encoder"),
)
