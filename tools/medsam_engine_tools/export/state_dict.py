# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A published checkpoint's tensors by their names: unwrapping what a training script saved, and the layout asked for.

Of any tensors that have a shape, torch's or NumPy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from medsam_engine.base.printable import one_line
from medsam_engine_tools.errors import ExportError

WRAPPERS = ("model", "state_dict", "model_state_dict")  # keys under which training scripts keep the weights
PREFIXES = ("module.", "model.")  # DistributedDataParallel's, Lightning's
MOST_WRAPPERS = 16  # of either kind; published files have at most two
NAMED_IN_ERRORS = 5

T = TypeVar("T")


class Shaped(Protocol):
    """A tensor of either library."""

    @property
    def shape(self) -> Sequence[int]:
        """Its dimensions."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file, by their published names, and the file's SHA-256 (hex).

    They are torch's from checkpoint.py, NumPy's from torch_file.
    """

    tensors: dict[str, Any]
    sha256: str


def unwrap(content: object, kind: type[T]) -> dict[str, T]:
    """The flat state dict, of tensors of this `kind`, inside what a training script saved; {} where there is none.

    Takes off wrapping dicts (WRAPPERS) and name prefixes that all tensors share (PREFIXES). ExportError: more than
    MOST_WRAPPERS of either; a dict may hold itself.
    """
    for _ in range(MOST_WRAPPERS + 1):
        inner = None
        if isinstance(content, Mapping):
            inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return _without_prefixes(content, kind) if isinstance(content, Mapping) else {}
        content = inner
    raise ExportError(f"checkpoint: got more than {MOST_WRAPPERS} dicts in one another, expected a state dict")


def _without_prefixes(content: Mapping[Any, object], kind: type[T]) -> dict[str, T]:
    tensors = {str(name): value for name, value in content.items() if isinstance(value, kind)}
    for _ in range(MOST_WRAPPERS + 1):
        prefix = next((p for p in PREFIXES if tensors and all(name.startswith(p) for name in tensors)), None)
        if prefix is None:
            return tensors
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    raise ExportError(f"checkpoint: got more than {MOST_WRAPPERS} prefixes of its names, expected a state dict")


def name_some(names: list[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = len(names) - NAMED_IN_ERRORS
    return ", ".join(one_line(name, 100) for name in names[:NAMED_IN_ERRORS]) + (
        f" and {more} more" if more > 0 else ""
    )


def layout_faults(expected: Mapping[str, Sequence[int]], tensors: Mapping[str, Shaped]) -> list[str]:
    """How `tensors` differ from the layout `expected`: what is missing, surplus or of another shape; [] where nothing.

    A tensor of the checkpoint may have any dtype here; loading it makes it the model's.
    """
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected]
    shapes = [
        f"{name} is {tuple(tensors[name].shape)} not {tuple(shape)}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != tuple(shape)
    ]
    return [
        f"{len(names)} {what}: {name_some(names)}"
        for what, names in (("missing", missing), ("surplus", surplus), ("of another shape", shapes))
        if names
    ]


def distance(expected: Mapping[str, Sequence[int]], tensors: Mapping[str, Shaped]) -> int:
    """How many tensors are missing, surplus or of another shape."""
    fitting = sum(name in tensors and tuple(tensors[name].shape) == tuple(s) for name, s in expected.items())
    return len(expected) + len(tensors) - 2 * fitting


def expect_layout(expected: Mapping[str, Sequence[int]], tensors: Mapping[str, Shaped], family: str) -> None:
    """Raises ExportError, which names what is missing, surplus or of another shape, unless `tensors` fit."""
    faults = layout_faults(expected, tensors)
    if faults:
        raise ExportError(
            f"checkpoint does not fit family '{family}' ({len(expected)} tensors): {'; '.join(faults)};"
            " choose the family that the checkpoint was trained for, or 'auto'"
        )
