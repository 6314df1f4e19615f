# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Tells the family and the size of a checkpoint from the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import torch
from torch import Tensor, nn

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import families
from medsam_engine_tools.export.family import Family
from medsam_engine_tools.export.state_dict import distance, layout_faults

AUTO = "auto"  # given for a family: recognize it


@dataclass(frozen=True)
class Match:
    """What a checkpoint is: family and size, and the families whose layout is the same."""

    family: str
    size: str
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        verb = (
            "have the same layout, name the one that is"
            if len(self.also) > 1
            else "has the same layout, name it if it is"
        )
        note = f"; {', '.join(self.also)} {verb} meant" if self.also else ""
        return f"recognized {self.family} ({self.size}){note}"


@cache
def built_layout(build: Callable[[], nn.Module]) -> Mapping[str, torch.Size]:
    """The names and shapes of the tensors of what `build` makes; without memory for them."""
    with torch.device("meta"):
        return MappingProxyType({name: value.shape for name, value in build().state_dict().items()})


def layout(family: Family, size: str) -> Mapping[str, torch.Size]:
    """The names and shapes of the tensors of one size."""
    return built_layout(family.sizes[size])


def closest_size(family: Family, tensors: Mapping[str, Tensor]) -> str:
    """The size of `family` whose layout is nearest to `tensors`; the first of several."""
    if len(family.sizes) == 1:
        return next(iter(family.sizes))
    return min(family.sizes, key=lambda size: distance(layout(family, size), tensors))


def recognize(tensors: Mapping[str, Tensor]) -> Match:
    """The family, the first in the registry, and the size that `tensors` fit; else ExportError naming the closest."""
    layouts = {
        (name, size): layout(family, size)
        for name, family in ((name, families.get(name)) for name in families.REGISTRY)
        for size in family.sizes
    }
    distances = {key: distance(expected, tensors) for key, expected in layouts.items()}
    family, size = min(distances, key=lambda key: distances[key])
    if distances[family, size] > 0:
        expected = layouts[family, size]
        raise ExportError(
            f"checkpoint fits no known family; the closest is '{family}' ({size}, {len(expected)} tensors), from which"
            f" it differs by {'; '.join(layout_faults(expected, tensors))};"
            f" known: {', '.join(sorted(families.REGISTRY))}"
        )
    also = (name for (name, _), count in distances.items() if count == 0 and name != family)
    return Match(family, size, tuple(also))
