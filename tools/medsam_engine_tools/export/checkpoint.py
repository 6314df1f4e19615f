# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Published checkpoint files: reading, unwrapping, strict loading."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from medsam_engine.base.printable import one_line, printable
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.input_file import open_input
from medsam_engine_tools.bundle.file_hash import stream_sha256
from medsam_engine_tools.errors import ExportError

WRAPPERS = ("model", "state_dict", "model_state_dict")  # keys under which training scripts keep the weights
PREFIXES = ("module.", "model.")  # DistributedDataParallel's, Lightning's
MOST_WRAPPERS = 16  # of either kind; published files have at most two
NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file, by their published names, and the file's SHA-256 (hex)."""

    tensors: dict[str, Tensor]
    sha256: str


def unwrap(content: object) -> dict[str, Tensor]:
    """The flat state dict inside what a training script saved; {} where there is none.

    Takes off wrapping dicts (WRAPPERS) and name prefixes that all tensors share (PREFIXES). ExportError: more than
    MOST_WRAPPERS of either; a dict may hold itself.
    """
    for _ in range(MOST_WRAPPERS + 1):
        inner = None
        if isinstance(content, Mapping):
            inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return _without_prefixes(content) if isinstance(content, Mapping) else {}
        content = inner
    raise ExportError(f"checkpoint: got more than {MOST_WRAPPERS} dicts in one another, expected a state dict")


def _without_prefixes(content: Mapping[Any, object]) -> dict[str, Tensor]:
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    for _ in range(MOST_WRAPPERS + 1):
        prefix = next((p for p in PREFIXES if tensors and all(name.startswith(p) for name in tensors)), None)
        if prefix is None:
            return tensors
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    raise ExportError(f"checkpoint: got more than {MOST_WRAPPERS} prefixes of its names, expected a state dict")


def _check_stored(stream: BinaryIO) -> None:
    """torch.save stores what it writes; a compressed entry could be any number of times larger than the file."""
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            packed = [entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"{len(packed)} compressed entries, which torch.save does not write")
    stream.seek(0)


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint onto the CPU without running code from it; raises ExportError where that cannot be done.

    What is hashed is what was loaded: the file is opened once.
    """
    try:
        with open_input(path, "checkpoint") as stream:
            _check_stored(stream)
            tensors = unwrap(torch.load(stream, map_location="cpu", weights_only=True))
            stream.seek(0)
            sha256 = stream_sha256(stream)
    except InvalidArgument as error:
        raise ExportError(
            f"checkpoint '{printable(path)}' is not a file that can be read ({error}); give the published weights file"
        ) from error
    except ExportError as error:
        raise ExportError(f"'{printable(path)}': {error}; give the published weights file") from error
    except Exception as error:  # the unpickler raises whatever a damaged or made-up file leads it to
        reason = one_line((str(error).strip().splitlines() or [type(error).__name__])[0])
        raise ExportError(
            f"checkpoint '{printable(path)}' cannot be read ({reason}); expected a torch file that holds tensors only"
        ) from error
    if not tensors:
        raise ExportError(
            f"checkpoint '{printable(path)}' holds no tensors; expected a state dict, bare or under {WRAPPERS}"
        )
    return Checkpoint(tensors, sha256)


def name_some(names: list[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = len(names) - NAMED_IN_ERRORS
    return ", ".join(one_line(name, 100) for name in names[:NAMED_IN_ERRORS]) + (
        f" and {more} more" if more > 0 else ""
    )


def layout_faults(expected: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]) -> list[str]:
    """How `tensors` differ from the layout `expected`: what is missing, surplus or of another shape; [] where nothing.

    A tensor of the checkpoint may have any dtype here; loading it makes it the model's.
    """
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected]
    shapes = [
        f"{name} is {tuple(tensors[name].shape)} not {tuple(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    return [
        f"{len(names)} {what}: {name_some(names)}"
        for what, names in (("missing", missing), ("surplus", surplus), ("of another shape", shapes))
        if names
    ]


def load_strict(model: nn.Module, tensors: Mapping[str, Tensor], family: str) -> None:
    """Puts `tensors` into `model`, in its dtypes; raises ExportError naming what is missing, surplus or of other shape.

    A tensor that has the dtype already is shared, not copied: the biggest checkpoints are 2.5 GB.
    """
    expected = model.state_dict()
    faults = layout_faults({name: value.shape for name, value in expected.items()}, tensors)
    if faults:
        raise ExportError(
            f"checkpoint does not fit family '{family}' ({len(expected)} tensors): {'; '.join(faults)};"
            " choose the family that the checkpoint was trained for, or 'auto'"
        )
    model.load_state_dict({name: tensors[name].to(value.dtype) for name, value in expected.items()}, assign=True)
