# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The objects of a study as a file to keep, written by the package's own writers."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

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


def exported(opened: OpenStudy, kind: str) -> tuple[str, bytes]:
    """A file's name, of ASCII letters and digits, and its content; on the worker's thread.

    Raises:
        InvalidArgument: no such format, one that this image cannot have, or nothing to save.
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
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as folder:
        path = Path(folder) / f"mask{SUFFIXES[kind]}"
        io.write(path, session.labels(), image, names=names)
        return f"{_stem(opened.study.name)}_mask{SUFFIXES[kind]}", path.read_bytes()


def _stem(name: str) -> str:
    lower = name.lower()
    ending = next((suffix for suffix in sorted(KNOWN_SUFFIXES, key=len, reverse=True) if lower.endswith(suffix)), "")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name[: len(name) - len(ending)]).strip("._")
    return plain[:80] or "image"
