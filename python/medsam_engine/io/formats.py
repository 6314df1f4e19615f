# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which format a path is in: by name for output, by name and else by content for input."""

from enum import Enum
from pathlib import Path

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.header import PREAMBLE, has_preamble, starts_as_data_set
from medsam_engine.io.input_file import open_input


class Format(Enum):
    """File formats that masks or images come in."""

    NIFTI = "NIfTI"
    ITK = "NRRD or MetaImage"
    DICOM = "DICOM"
    IMAGE = "PNG, JPEG or TIFF"
    NPZ = "NPZ"


KNOWN_SUFFIXES = {
    ".nii.gz": Format.NIFTI, ".nii": Format.NIFTI, ".nrrd": Format.ITK, ".nhdr": Format.ITK, ".mha": Format.ITK,
    ".mhd": Format.ITK, ".dcm": Format.DICOM, ".dicom": Format.DICOM, ".ima": Format.DICOM, ".png": Format.IMAGE,
    ".jpg": Format.IMAGE, ".jpeg": Format.IMAGE, ".tif": Format.IMAGE, ".tiff": Format.IMAGE, ".npz": Format.NPZ,
}  # fmt: skip
OUTPUTS = (".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".npz", ".dcm")
_READABLE = ".nii[.gz], .nrrd, .mha, .dcm, .png, .jpg, .tif, .npz or a folder of DICOM files"


def suffix_of(path: Path) -> str:
    """The name's ending as the tables here have it, in lower case; ".nii.gz" is one ending."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def input_format(path: Path) -> Format:
    """The format of an existing file or folder. InvalidArgument: missing, no regular file, or of no known kind."""
    if path.is_dir():
        return Format.DICOM
    with open_input(path) as file:
        start = file.read(PREAMBLE)
    known = KNOWN_SUFFIXES.get(suffix_of(path))
    if known is not None:
        return known
    if has_preamble(start) or starts_as_data_set(start):  # archives name DICOM files without an ending
        return Format.DICOM
    raise InvalidArgument(f"image: got {path}, expected {_READABLE}; its name and content are none of these")


def output_format(path: Path) -> Format:
    """The format to write. InvalidArgument when masks are not written in it."""
    if suffix_of(path) not in OUTPUTS:
        raise InvalidArgument(f"output: got {path}, expected a name ending in {', '.join(OUTPUTS)}; rename it")
    return KNOWN_SUFFIXES[suffix_of(path)]
