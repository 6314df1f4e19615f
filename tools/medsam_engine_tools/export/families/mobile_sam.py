# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MobileSAM: TinyViT at 1024 with SAM's prompt encoder and mask decoder (ChaoningZhang/MobileSAM)."""

from __future__ import annotations

from functools import partial

from medsam_engine_tools.export.family import SAM_PROMPTS, Family
from medsam_engine_tools.export.native.sam import native_sam
from medsam_engine_tools.export.native.sam_decoder import NativeSamDecoder
from medsam_engine_tools.export.native.tiny_vit import TinyVitSizes
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
from medsam_engine_tools.export.nn.tiny_vit import TinyVit
from medsam_engine_tools.export.sam import Sam, sam_graphs

INPUT_SIZE = 1024
CLASSES = 1000  # ImageNet's, of a head that the published file keeps and nothing uses (mobile_sam/build_sam.py)
ENCODER = TinyVitSizes(INPUT_SIZE, patch_kernel=3, patch_stride=2, classes=CLASSES)


def build() -> Sam:
    """The architecture with untrained weights."""
    return Sam(TinyVit(ENCODER), PromptEncoder(256, ENCODER.grid, frame=INPUT_SIZE), MaskDecoder())


FAMILY = Family(
    name="mobile_sam",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="mobile_sam",
    trained_prompts=SAM_PROMPTS,
    sizes={"vit_t": build},
    graphs=partial(sam_graphs, input_size=INPUT_SIZE, frame=INPUT_SIZE),
    native={"vit_t": native_sam(INPUT_SIZE, NativeSamDecoder(ENCODER.grid, frame=INPUT_SIZE))},
)
