# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""EfficientViT-SAM: L0, L1, L2 at 512, XL0 and XL1 at 1024 (mit-han-lab/efficientvit applications/efficientvit_sam)."""

from __future__ import annotations

from functools import partial

from torch import nn

from medsam_engine_tools.export.family import SAM_PROMPTS, Family, Graph
from medsam_engine_tools.export.native.efficient_vit import (
    GRID,
    L0,
    L1,
    L2,
    NORM_EPS,
    XL0,
    XL1,
    EfficientVitSize,
    NativeEfficientVit,
)
from medsam_engine_tools.export.native.model import NativeModel
from medsam_engine_tools.export.native.sam import native_sam
from medsam_engine_tools.export.native.sam_decoder import NativeSamDecoder
from medsam_engine_tools.export.nn.efficient_vit import EfficientVit
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
from medsam_engine_tools.export.sam import Sam, sam_graphs

# SAM's, whatever the size of the encoder's input (models/efficientvit/sam.py:build_efficientvit_sam).
PROMPT_FRAME = 1024
SIZES = {"l0": L0, "l1": L1, "l2": L2, "xl0": XL0, "xl1": XL1}
INPUT_SIZES = {"l0": 512, "l1": 512, "l2": 512, "xl0": 1024, "xl1": 1024}


def build(size: EfficientVitSize, input_size: int, frame: int, point_shift: float = 0.5) -> Sam:
    """The architecture with untrained weights.

    input_size: side of the encoder's input, pixels; frame: side of the frame of coordinates, pixels; point_shift:
    pixels added to them before they are encoded.
    """
    encoder = EfficientVit(size, input_size)
    sam = Sam(encoder, PromptEncoder(256, encoder.grid, frame=frame, point_shift=point_shift), MaskDecoder())
    for module in sam.mask_decoder.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = NORM_EPS  # on every norm of the model, not the encoder's alone (sam_model_zoo.py)
    return sam


def native(size: EfficientVitSize, input_size: int, frame: int, point_shift: float = 0.5) -> NativeModel:
    """Encoder and decoder as native networks; the parameters are those of `build`."""
    decoder = NativeSamDecoder(GRID, frame, point_shift, layer_norm_epsilon=NORM_EPS)
    return native_sam(input_size, decoder, NativeEfficientVit(size, input_size))


def graphs(model: nn.Module) -> tuple[Graph, ...]:
    """SAM's, with the input size that the model's size has."""
    assert isinstance(model, Sam)
    assert isinstance(model.image_encoder, EfficientVit)
    return sam_graphs(model, model.image_encoder.input_size, PROMPT_FRAME)


FAMILY = Family(
    name="efficientvit_sam",
    input_size=512,
    prompt_frame=PROMPT_FRAME,
    profile="efficientvit_sam",
    trained_prompts=SAM_PROMPTS,
    sizes={key: partial(build, SIZES[key], input_size, PROMPT_FRAME) for key, input_size in INPUT_SIZES.items()},
    graphs=graphs,
    input_sizes=INPUT_SIZES,
    native={key: native(SIZES[key], input_size, PROMPT_FRAME) for key, input_size in INPUT_SIZES.items()},
)
