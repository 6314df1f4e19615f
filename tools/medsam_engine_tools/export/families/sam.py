# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM itself: ViT-B, ViT-L and ViT-H at 1024 by the rules of its own predictor (facebookresearch/segment-anything).

MedSAM's layout (families/medsam.py); its images are stretched and scaled by their range, SAM's are not.
"""

from __future__ import annotations

from dataclasses import replace

from medsam_engine_tools.export.families import medsam
from medsam_engine_tools.export.family import SAM_PROMPTS

FAMILY = replace(medsam.FAMILY, name="sam", profile="sam", trained_prompts=SAM_PROMPTS)
