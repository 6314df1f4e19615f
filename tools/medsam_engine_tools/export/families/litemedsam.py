# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""LiteMedSAM: TinyViT at 256 with SAM's prompt encoder and mask decoder (bowang-lab/MedSAM, branch LiteMedSAM).

Imports torch where its graphs are built only: the native weights are made without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsam_engine_tools.export.family import BOX_ONLY, Family, Graph
from medsam_engine_tools.export.native.sam import native_sam
from medsam_engine_tools.export.native.sam_decoder import NativeSamDecoder
from medsam_engine_tools.export.native.tiny_vit import NativeTinyVit, TinyVitSizes

if TYPE_CHECKING:
    from torch import nn

INPUT_SIZE = 256
ENCODER = TinyVitSizes(INPUT_SIZE, patch_kernel=1, patch_stride=1)
NATIVE = native_sam(INPUT_SIZE, NativeSamDecoder(ENCODER.grid, frame=INPUT_SIZE), NativeTinyVit(ENCODER))


def build() -> nn.Module:
    """The architecture with untrained weights."""
    from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
    from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
    from medsam_engine_tools.export.nn.tiny_vit import TinyVit
    from medsam_engine_tools.export.sam import Sam

    return Sam(TinyVit(ENCODER), PromptEncoder(256, ENCODER.grid, frame=INPUT_SIZE), MaskDecoder())


def graphs(model: nn.Module) -> tuple[Graph, ...]:
    """encoder, decoder and decoder_mask."""
    from medsam_engine_tools.export.sam import sam_graphs

    return sam_graphs(model, input_size=INPUT_SIZE, frame=INPUT_SIZE)


FAMILY = Family(
    name="litemedsam",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="litemedsam",
    trained_prompts=BOX_ONLY,
    sizes={"tiny_vit": build},
    graphs=graphs,
    native={"tiny_vit": NATIVE},
)
