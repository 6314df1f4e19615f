# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MedficientSAM: EfficientViT-SAM L0, L1, L2 at 512 (hieplpvip/medficientsam), as its C++ and ONNX path run it."""

from __future__ import annotations

from functools import partial

from medsam_engine_tools.export.families.efficientvit_sam import build, native
from medsam_engine_tools.export.family import BOX_ONLY, Family
from medsam_engine_tools.export.native.efficient_vit import L0, L1, L2
from medsam_engine_tools.export.sam import sam_graphs

INPUT_SIZE = 512
SIZES = {"l0": L0, "l1": L1, "l2": L2}


def family(name: str, point_shift: float) -> Family:
    """The family called `name`, whose profile has the same name."""
    return Family(
        name=name,
        input_size=INPUT_SIZE,
        prompt_frame=INPUT_SIZE,
        profile=name,
        trained_prompts=BOX_ONLY,
        sizes={key: partial(build, size, INPUT_SIZE, INPUT_SIZE, point_shift) for key, size in SIZES.items()},
        graphs=partial(sam_graphs, input_size=INPUT_SIZE, frame=INPUT_SIZE),
        point_shift=point_shift,
        native={key: native(size, INPUT_SIZE, INPUT_SIZE, point_shift) for key, size in SIZES.items()},
    )


# Its C++ and ONNX path encodes the box's corners as they are, without SAM's half pixel (src/models/onnx).
FAMILY = family("medficientsam", point_shift=0.0)
