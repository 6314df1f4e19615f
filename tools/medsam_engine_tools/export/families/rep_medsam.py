# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Rep-MedSAM: RepViT-M1.0 at 256 with SAM's prompt encoder and mask decoder (muxin-wei/Rep-MedSAM)."""

from __future__ import annotations

from functools import partial

from medsam_engine_tools.export.family import BOX_ONLY, Family
from medsam_engine_tools.export.native.sam import native_sam
from medsam_engine_tools.export.native.sam_decoder import NativeSamDecoder
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
from medsam_engine_tools.export.nn.rep_vit import RepVit, Stage
from medsam_engine_tools.export.sam import Sam, sam_graphs

INPUT_SIZE = 256
DECODER = NativeSamDecoder(grid=64, frame=INPUT_SIZE)
M1_0 = (Stage(56, 3), Stage(112, 4, stride=2), Stage(224, 16, stride=2), Stage(448, 3))


def build() -> Sam:
    """The architecture with untrained weights."""
    encoder = RepVit(INPUT_SIZE, M1_0)
    return Sam(encoder, PromptEncoder(256, encoder.grid, frame=INPUT_SIZE), MaskDecoder())


FAMILY = Family(
    name="rep_medsam",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="rep_medsam",
    trained_prompts=BOX_ONLY,
    sizes={"m1_0": build},
    graphs=partial(sam_graphs, input_size=INPUT_SIZE, frame=INPUT_SIZE),
    native={"m1_0": native_sam(INPUT_SIZE, DECODER)},
)
