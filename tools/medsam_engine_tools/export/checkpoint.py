# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Published checkpoint files by torch: reading, strict loading."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn

from medsam_engine.base.printable import one_line, printable
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.input_file import open_input
from medsam_engine_tools.bundle.file_hash import stream_sha256
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import state_dict
from medsam_engine_tools.export.state_dict import Checkpoint


def unwrap(content: object) -> dict[str, Tensor]:
    """The flat state dict inside what a training script saved, as state_dict.unwrap has it."""
    return state_dict.unwrap(content, Tensor)


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
            f"checkpoint '{printable(path)}' holds no tensors; expected a state dict, bare or under"
            f" {state_dict.WRAPPERS}"
        )
    return Checkpoint(tensors, sha256)


def load_strict(model: nn.Module, tensors: Mapping[str, Tensor], family: str) -> None:
    """Puts `tensors` into `model`, in its dtypes; raises ExportError naming what is missing, surplus or of other shape.

    A tensor that has the dtype already is shared, not copied: the biggest checkpoints are 2.5 GB.
    """
    expected = model.state_dict()
    state_dict.expect_layout({name: value.shape for name, value in expected.items()}, tensors, family)
    model.load_state_dict({name: tensors[name].to(value.dtype) for name, value in expected.items()}, assign=True)
