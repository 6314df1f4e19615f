# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which files `read` reads of a path, so that nothing is written over them."""

import os
from collections.abc import Iterator
from pathlib import Path

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.header import has_preamble, starts_as_data_set
from medsam_engine.io.input_file import open_input

_DETACHED = (".mhd", ".nhdr")  # headers that name their data
_HEADER = 1 << 16  # bytes of them to look at
_META = 1024  # bytes within which a DICOM file has said its class
_SEG_CLASS = b"1.2.840.10008.5.1.4.1.1.66.4"


def source_files(path: Path) -> Iterator[Path]:
    """A file, and the data that its header names; of a folder, the images of every series and what cannot be read.

    Masks and other files beside a series are not among them: a second run may replace those of the first.
    """
    if path.is_dir():
        yield from (entry for entry in path.iterdir() if not entry.is_dir() and _may_be_image(entry))
        return
    yield path
    if path.suffix.lower() in _DETACHED and path.is_file():
        text = _start(path, _HEADER)
        yield from (entry for entry in path.parent.iterdir() if os.fsencode(entry.name) in text)


def _start(path: Path, count: int) -> bytes:
    with open_input(path) as file:
        return file.read(count)


def _may_be_image(path: Path) -> bool:
    try:
        start = _start(path, _META)
    except (OSError, InvalidArgument):
        return True  # a link to what is not fetched yet, or not permitted
    return (has_preamble(start) or starts_as_data_set(start)) and _SEG_CLASS not in start
