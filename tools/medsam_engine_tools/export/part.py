# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The sets of weights that a bundle is made of, and the files that are given for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export.family import Family
from medsam_engine_tools.export.state_dict import Checkpoint


@dataclass(frozen=True)
class Part:
    """One set of weights of a bundle: the expert's name ("" where there are none), its architecture and the weights."""

    expert: str
    family: Family
    size: str
    source: Checkpoint


def named_files(family: Family, checkpoint: Path | None, experts: Mapping[str, Path]) -> dict[str, Path]:
    """The file of each expert, in the order of `family`; a bare checkpoint is the fallback's. Raises ExportError."""
    names = family.expert_names()
    if not names:
        if experts:
            raise ExportError(f"family '{family.name}' has no experts; give one checkpoint and no expert")
        if checkpoint is None:
            raise ExportError(f"family '{family.name}' needs a checkpoint; give its published weights file")
        return {"": checkpoint}
    unknown = [name for name in experts if name not in names]
    if unknown:
        raise ExportError(f"family '{family.name}' has no expert '{unknown[0]}'; expected one of: {', '.join(names)}")
    files = dict(experts)
    if checkpoint is not None and family.fallback is not None:
        if family.fallback in files:
            raise ExportError(f"expert '{family.fallback}' is given twice: as expert and as checkpoint; give it once")
        files[family.fallback] = checkpoint
    if not files:
        raise ExportError(f"family '{family.name}' needs a checkpoint or one for each expert: {', '.join(names)}")
    return {name: files[name] for name in names if name in files}


def check_companion(family: Family, companion: Path | None) -> None:
    """Raises ExportError unless a companion is given exactly where `family` is built on one."""
    if family.companion is None and companion is not None:
        raise ExportError(f"family '{family.name}' is built on no other model; leave out '{companion}'")
    if family.companion is not None and companion is None:
        wanted = family.companion
        raise ExportError(f"family '{family.name}' is built on another model; give {wanted.option} DIR, {wanted.what}")
