# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which weights a bundle is made of: one checkpoint, or one for each expert of a family that has experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from medsam_engine_tools.bundle import profiles
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint as checkpoints
from medsam_engine_tools.export import families, recognition
from medsam_engine_tools.export.checkpoint import Checkpoint
from medsam_engine_tools.export.family import Family


@dataclass(frozen=True)
class Part:
    """One set of weights of a bundle: the expert's name ("" where there are none), its architecture and the weights."""

    expert: str
    family: Family
    size: str
    source: Checkpoint


def rules(family: Family, size: str) -> dict[str, Any]:
    """What all experts of a bundle have in common (docs/bundle.md), by the words for it in a message."""
    return {
        "input size": family.of_size(size).input_size,
        "prompt frame": family.prompt_frame,
        "point shift": family.point_shift,
        "prompts": family.accepts,
        "mask input": family.mask_input,
        "prompts made from a box": family.from_box,
        "trained prompts": family.trained_prompts,
        "modality index": family.modality_index,
        "companion": None if family.companion is None else family.companion.option,
        "image rules": profiles.load(family.profile).get("image"),
    }


def fits(family: Family, size: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether `tensors` are the family's of that size."""
    return recognition.distance(recognition.layout(family, size), tensors) == 0


def architecture(family: Family, expert: str, tensors: Mapping[str, Tensor]) -> tuple[Family, str]:
    """The family and size that `tensors` are the weights of, for an expert of `family`.

    That is `family` itself, else the first in the registry whose rules are the same. Raises ExportError where it is
    neither, with the rule that differs or the closest family.
    """
    own = recognition.closest_size(family, tensors)
    if fits(family, own, tensors):
        return family, own
    try:
        match = recognition.recognize(tensors)
    except ExportError as error:
        raise ExportError(f"expert '{expert}': {error}") from error
    expected = rules(family, own)
    differences = []
    for name in (match.family, *match.also):
        other = families.get(name)
        found = rules(other, match.size)
        differing = [key for key, value in expected.items() if found[key] != value]
        if not differing and other.experts is None:
            return other, match.size
        differences += [f"{name}'s {key} is {found[key]}, not {expected[key]}" for key in differing[:1]]
    raise ExportError(
        f"expert '{expert}': the checkpoint is {match.family} ({match.size}), which cannot be an expert of"
        f" '{family.name}': {'; '.join(differences)}"
    )


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


def parts(family: Family, checkpoint: Path | None, experts: Mapping[str, Path]) -> list[Part]:
    """Reads the checkpoints of a bundle of `family` and tells what each is; raises ExportError."""
    found = []
    for expert, path in named_files(family, checkpoint, experts).items():
        source = checkpoints.read(path)
        if expert:
            found.append(Part(expert, *architecture(family, expert, source.tensors), source))
        else:
            found.append(Part("", family, recognition.closest_size(family, source.tensors), source))
    return found
