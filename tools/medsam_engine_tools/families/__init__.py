# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The families that can be exported: one module each, which defines FAMILY."""

from __future__ import annotations

import importlib

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.family import Family

REGISTRY: dict[str, str] = {
    "litemedsam": "medsam_engine_tools.families.litemedsam",
    "rep_medsam": "medsam_engine_tools.families.rep_medsam",
    "medficientsam": "medsam_engine_tools.families.medficientsam",
    "medficientsam_torch": "medsam_engine_tools.families.medficientsam_torch",
    "daft": "medsam_engine_tools.families.daft",
    "efficientvit_sam": "medsam_engine_tools.families.efficientvit_sam",
    "mcp_medsam": "medsam_engine_tools.families.mcp_medsam",
    "medsam": "medsam_engine_tools.families.medsam",
    "swin_litemedsam": "medsam_engine_tools.families.swin_litemedsam",
    "sam": "medsam_engine_tools.families.sam",
    "mobile_sam": "medsam_engine_tools.families.mobile_sam",
}


def get(name: str) -> Family:
    """The family called `name`; raises ExportError where there is none."""
    if name not in REGISTRY:
        raise ExportError(f"unknown family '{name}'; expected one of: {', '.join(sorted(REGISTRY))}, or auto")
    family: Family = importlib.import_module(REGISTRY[name]).FAMILY
    return family
