# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a file says about its modality, in the engine's names."""

from medsam_engine._core import canonical_modality

# DICOM's Modality (0008,0060), PS3.3 C.7.3.1.1.1, for the kinds of image the models know. XC (external camera) may be
# any photograph, so it tells nothing.
_DICOM = {
    "CT": "CT",
    "MR": "MR",
    "PT": "PET",
    "US": "US",
    "IVUS": "US",
    "CR": "XRay",
    "DX": "XRay",
    "RF": "XRay",
    "XA": "XRay",
    "IO": "XRay",
    "PX": "XRay",
    "MG": "Mammography",
    "DMS": "Dermoscopy",
    "ES": "Endoscopy",
    "OP": "Fundus",
    "OPT": "OCT",
    "OCT": "OCT",
    "GM": "Microscopy",
    "SM": "Microscopy",
}


def named_modality(word: str | None) -> str | None:
    """A name of modality_names() for a DICOM code ("PT") or any usual spelling ("X-Ray"); None for another word."""
    if not word:
        return None
    return _DICOM.get(word.upper()) or canonical_modality(word)
