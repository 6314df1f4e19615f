# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The families that can be exported: one module each, which defines FAMILY."""

from __future__ import annotations

import importlib

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export.family import Family

REGISTRY: dict[str, str] = {
    "litemedsam": "medsam_engine_tools.export.families.litemedsam",
    "rep_medsam": "medsam_engine_tools.export.families.rep_medsam",
    "medficientsam": "medsam_engine_tools.export.families.medficientsam",
    "medficientsam_torch": "medsam_engine_tools.export.families.medficientsam_torch",
    "daft": "medsam_engine_tools.export.families.daft",
    "efficientvit_sam": "medsam_engine_tools.export.families.efficientvit_sam",
    "mcp_medsam": "medsam_engine_tools.export.families.mcp_medsam",
    "medsam": "medsam_engine_tools.export.families.medsam",
    "swin_litemedsam": "medsam_engine_tools.export.families.swin_litemedsam",
    "sam": "medsam_engine_tools.export.families.sam",
    "mobile_sam": "medsam_engine_tools.export.families.mobile_sam",
}

# Of these, those that are exported without torch, as native weights alone, unless graphs are asked for: their modules
# import torch in functions only, and FAMILY.native has their networks.
NATIVE = ("litemedsam",)


def get(name: str) -> Family:
    """The family called `name`; raises ExportError where there is none."""
    if name not in REGISTRY:
        raise ExportError(f"unknown family '{name}'; expected one of: {', '.join(sorted(REGISTRY))}, or auto")
    family: Family = importlib.import_module(REGISTRY[name]).FAMILY
    return family
