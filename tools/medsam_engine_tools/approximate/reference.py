# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The f32 that an approximation is compared with: graphs of the bundle itself, or of another of the same weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsam_engine_tools.bundle import manifest, variants
from medsam_engine_tools.errors import ExportError


def _same_weights(content: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both bundles are of one checkpoint, with the same native weights and the same rules around them."""
    checkpoint = [c.get("provenance", {}).get("checkpoint_sha256") for c in (content, other)]
    rules = ("family", "profile", "image", "prompt", "modality", variants.FUSED)
    return (
        checkpoint[0] is not None
        and checkpoint[0] == checkpoint[1]
        and all(content.get(field) == other.get(field) for field in rules)
    )


def reference_of(folder: Path, content: Mapping[str, Any], reference: Path | None) -> Path:
    """The bundle whose graphs are the f32 to compare with: `folder` itself, or `reference` where it has none.

    ExportError where that is not a bundle with graphs of the same weights.
    """
    graphs = "models" not in content or variants.has_graphs(content)
    if reference is None:
        if graphs:
            return folder
        raise ExportError(
            "reference: got none, but this bundle has native weights alone; give a bundle of the same checkpoint that "
            "was exported with --onnx (--reference)"
        )
    if graphs:
        raise ExportError("reference: got one, but this bundle has graphs of its own; leave --reference out")
    other = manifest.read(reference)
    if other is None:
        raise ExportError(f"reference '{reference}' has no manifest of this version; export it again")
    variants.expect_graphs(other, "reference")
    if not _same_weights(content, other):
        raise ExportError(
            f"reference: got '{reference}', whose checkpoint, rules or native weights are not those of '{folder}';"
            " export both again from one checkpoint"
        )
    return reference


def usual_stages(bundle: str | os.PathLike[str]) -> tuple[str, str]:
    """The approximation to measure where none is named: the one that the bundle's form is for."""
    content = manifest.read(Path(bundle)) or {}
    graphs = "models" not in content or variants.has_graphs(content)
    return ("bf16_mixed", "bf16") if graphs else ("bf16_fused", "bf16_fused")
