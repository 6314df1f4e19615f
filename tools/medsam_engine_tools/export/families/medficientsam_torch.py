# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MedficientSAM by the rules of its PyTorch script: the same weights, boxes truncated and shifted by half a pixel."""

from __future__ import annotations

from medsam_engine_tools.export.families.medficientsam import family

FAMILY = family("medficientsam_torch", point_shift=0.5)
