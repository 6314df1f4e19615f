# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM files without the preamble and "DICM" of PS3.10 7.1, as old scanners and some archives write them."""

import struct
from pathlib import Path
from typing import Any

from medsam_engine.errors import InvalidArgument

PREAMBLE = 132  # bytes, with the four letters behind it
_STANDARD_CLASSES = "1.2.840.10008.5.1.4."  # the UIDs of every storage class of the standard begin with it
_VRS = b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
_LONGEST_FIRST_VALUE = 1024  # of the elements that a data set begins with: group lengths, character sets, image types


def has_preamble(start: bytes) -> bool:
    """Whether a file that begins with these 132 bytes is a DICOM file by its own word."""
    return start[128:PREAMBLE] == b"DICM"


def starts_as_data_set(start: bytes) -> bool:
    """Whether a file begins with an element of group 0002 or 0008, in either byte order, as one without preamble does.

    No text does: the first or second byte is 0. What follows is checked by `check_data_set`.
    """
    if has_preamble(start) or len(start) < 8:
        return False
    for order in "<>":
        group, element, length = struct.unpack(f"{order}HHI", start[:8])
        explicit = start[4:6] in _VRS
        if group in (2, 8) and element <= 0x0100 and (explicit or length <= _LONGEST_FIRST_VALUE):
            return True
    return False


def check_data_set(dataset: Any, path: Path) -> None:
    """Refuses what only began like a data set, and says in its file meta information how its values are encoded.

    Raises:
        InvalidArgument: no class of the DICOM standard in it.
    """
    if not str(dataset.get("SOPClassUID", "")).startswith(_STANDARD_CLASSES):
        raise InvalidArgument(f"image: got {path}, expected a DICOM file; it has no DICOM header")
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
