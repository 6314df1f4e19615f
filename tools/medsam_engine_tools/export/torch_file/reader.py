# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A whole checkpoint of torch.save as NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from medsam_engine.base.printable import printable
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.input_file import open_input
from medsam_engine_tools.bundle.file_hash import stream_sha256
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export.state_dict import WRAPPERS, Checkpoint, unwrap
from medsam_engine_tools.export.torch_file.archive import LARGEST_PICKLE, PICKLE, Archive
from medsam_engine_tools.export.torch_file.instructions import carry_out
from medsam_engine_tools.export.torch_file.storages import Storages


def content_of(stream: BinaryIO) -> object:
    """What torch.save wrote, with arrays (read-only, bfloat16 as f32) for its tensors. ExportError, without a path.

    Memory: at most the file's size twice, and the pickle's some hundred times.
    """
    archive = Archive(stream)
    return carry_out(archive.read(PICKLE, LARGEST_PICKLE), Storages(archive))


def read(path: Path) -> Checkpoint:
    """The arrays of a checkpoint by their published names; no code of it is run. ExportError in one line.

    What is hashed is what was read: the file is opened once.
    """
    remedy = "give the published weights file, or use --onnx, which reads it with torch"
    try:
        with open_input(path, "checkpoint") as stream:
            arrays = unwrap(content_of(stream), np.ndarray)
            stream.seek(0)
            sha256 = stream_sha256(stream)
    except InvalidArgument as error:
        raise ExportError(
            f"checkpoint '{printable(path)}' is not a file that can be read ({error}); give the published weights file"
        ) from error
    except (ExportError, MemoryError, OSError) as error:
        reason = str(error) or "there is not enough memory"
        raise ExportError(f"checkpoint '{printable(path)}' cannot be read: {reason}; {remedy}") from error
    if not arrays:
        raise ExportError(
            f"checkpoint '{printable(path)}' holds no tensors; expected a state dict, bare or under {WRAPPERS}"
        )
    return Checkpoint(arrays, sha256)
