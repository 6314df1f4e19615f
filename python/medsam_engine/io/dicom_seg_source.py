# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a DICOM SEG takes over from the images it belongs to, made fit for highdicom."""

import re
from pathlib import Path
from typing import Any

from medsam_engine.errors import Unsupported
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom_pixels import read_dataset
from medsam_engine.io.dicom_tags import functional_groups

# Type 1: a SEG cannot refer to the images without them.
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_NEEDED_WITH_POSITION = ("ImageOrientationPatient", "PixelSpacing")
# Type 2: they may be empty, but must be there. The pattern is what a value must look like to be taken over.
_MAY_BE_EMPTY = {
    "PatientID": "", "PatientName": "", "PatientBirthDate": r"\d{8}", "PatientSex": "[MFO]", "StudyID": "",
    "StudyDate": r"\d{8}", "StudyTime": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", "AccessionNumber": "",
    "ReferringPhysicianName": "",
}  # fmt: skip


def source_header(path: Path) -> Any:
    """A source image without its pixels, as highdicom takes it.

    Anonymised images lack type-2 attributes, or have text in them that is no date or sex: these become empty. Text in
    any character set, several at once included (PS3.5 6.1.2.5), becomes UTF-8. SpacingBetweenSlices, which is often
    wrong, is left out: highdicom measures it from the slices' positions.

    Raises:
        InvalidArgument: the file cannot be read.
        Unsupported: it lacks an identifier or a place.
    """
    dataset = read_dataset(path, ByteLimit.of(None), pixels=False)
    _drop_unreadable(dataset)
    _check_needed(dataset, path)
    if dataset.get("SpecificCharacterSet"):
        dataset.decode()
        dataset.SpecificCharacterSet = "ISO_IR 192"
    elif "SpecificCharacterSet" in dataset:  # empty means ASCII just as an absent one does; highdicom refuses it
        del dataset.SpecificCharacterSet
    for name, pattern in _MAY_BE_EMPTY.items():
        value = str(dataset.get(name) or "").strip()
        if not value or (pattern and not (re.fullmatch(pattern, value) and _is_convertible(name, value))):
            setattr(dataset, name, "")
    for holder in (dataset, *(measures for group in functional_groups(dataset, 0)
                              for measures in group.get("PixelMeasuresSequence") or [])):  # fmt: skip
        if "SpacingBetweenSlices" in holder:
            del holder.SpacingBetweenSlices
    return dataset


def _drop_unreadable(dataset: Any) -> None:
    """Without attributes whose text is no value of their type; those that count were checked when the file was read."""
    for tag in list(dataset.keys()):
        try:
            _ = dataset[tag].value
        except Exception:  # pydicom raises nearly every kind for a damaged element
            del dataset[tag]


def _is_convertible(name: str, value: str) -> bool:
    from pydicom.valuerep import DA, TM

    try:
        return name == "PatientSex" or (TM if name.endswith("Time") else DA)(value) is not None
    except ValueError:  # the thirteenth month
        return False


def _check_needed(dataset: Any, path: Path) -> None:
    missing = [name for name in _NEEDED if not dataset.get(name)]
    if not missing and dataset.get("ImagePositionPatient"):
        missing = [name for name in _NEEDED_WITH_POSITION if not dataset.get(name)]
    if missing:
        raise Unsupported(
            f"output: got no {missing[0]} in {path}, expected it in every image that a DICOM SEG refers to; choose "
            ".nii.gz or .nrrd"
        )
