# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DAFT: EfficientViT-SAM-L0 at 256, one expert a group of modalities (automl/CVPR24-MedSAM-on-Laptop)."""

from __future__ import annotations

from functools import partial

from medsam_engine_tools.export.families.efficientvit_sam import build
from medsam_engine_tools.export.family import BOX_ONLY, Family
from medsam_engine_tools.export.native.efficient_vit import L0
from medsam_engine_tools.export.sam import sam_graphs

INPUT_SIZE = 256  # of the prompts' frame too: export_onnx.py sets it on the prompt encoder

# PerfectMetaOpenVINO.py:filename_to_modelname, by the modality that its file names stand for.
EXPERTS = {
    "CT": "3D",
    "MR": "3D",
    "PET": "3D",
    "XRay": "XRay",
    "US": "US",
    "Fundus": "Fundus",
    "Endoscopy": "Endoscopy",
    "Dermoscopy": "Dermoscopy",
    "Microscopy": "Microscopy",
    "Mammography": "Mammography",
    "OCT": "OCT",
}

FAMILY = Family(
    name="daft",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="daft",
    trained_prompts=BOX_ONLY,
    sizes={"l0": partial(build, L0, INPUT_SIZE, INPUT_SIZE)},
    graphs=partial(sam_graphs, input_size=INPUT_SIZE, frame=INPUT_SIZE),
    experts=EXPERTS,
    fallback="general",
)
