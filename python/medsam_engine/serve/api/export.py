# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The objects of a study as a file to keep, written by the package's own writers."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medsam_engine import io
from medsam_engine.base.printable import cut, printable
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.formats import KNOWN_SUFFIXES
from medsam_engine.serve.api.open_study import OpenStudy

SUFFIXES = {
    "nifti": ".nii.gz",
    "nrrd": ".seg.nrrd",
    "mha": ".mha",
    "npz": ".npz",
    "png": ".png",
    "dicomseg": ".dcm",
}
_FORMAT_BYTES = 16  # shown of a format that is none


class Exported(NamedTuple):
    """A file to keep.

    Attributes:
        name: of ASCII letters and digits.
        content: its bytes.
        overlap: voxels of objects that the file has as another object's, because it has one label per voxel.
    """

    name: str
    content: bytes
    overlap: int


def exported(opened: OpenStudy, kind: str) -> Exported:
    """The objects of a study as a file; on the worker's thread.

    Raises:
        InvalidArgument: no such format, one that this image cannot have, nothing to save, or DICOM files that changed.
    """
    if kind not in SUFFIXES:
        raise InvalidArgument(
            f"format: got {cut(printable(kind), _FORMAT_BYTES)}, expected one of {', '.join(sorted(SUFFIXES))}"
        )
    image, session = opened.study.image, opened.study.session
    objects = session.objects
    if not any(item.voxels for item in objects):
        raise InvalidArgument("export: got a study without a mask, expected at least one object; draw a box first")
    names = {k: opened.labels.name(item.name) for k, item in enumerate(objects, start=1)}
    labels = session.labels()
    overlap = sum(item.voxels for item in objects) - int(np.count_nonzero(labels))
    if kind == "dicomseg":  # which reads their headers again
        opened.study.check_files()
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as folder:
        path = Path(folder) / f"mask{SUFFIXES[kind]}"
        io.write(path, labels, image, names=names)
        return Exported(f"{_stem(opened.study.name)}_mask{SUFFIXES[kind]}", path.read_bytes(), overlap)


def _stem(name: str) -> str:
    lower = name.lower()
    ending = next((suffix for suffix in sorted(KNOWN_SUFFIXES, key=len, reverse=True) if lower.endswith(suffix)), "")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name[: len(name) - len(ending)]).strip("._")
    return plain[:80] or "image"
