# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which weights a bundle is made of: one checkpoint, or one for each expert of a family that has experts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from medsam_engine_tools.bundle import profiles
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint as checkpoints
from medsam_engine_tools.export import families, recognition
from medsam_engine_tools.export.family import Family
from medsam_engine_tools.export.part import Part, named_files
from medsam_engine_tools.export.state_dict import distance


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
    return distance(recognition.layout(family, size), tensors) == 0


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
