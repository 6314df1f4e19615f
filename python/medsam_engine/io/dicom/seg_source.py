# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a DICOM SEG takes over from the images it belongs to, made fit for highdicom."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medsam_engine.errors import Unsupported
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.pixels import read_dataset
from medsam_engine.io.dicom.quiet import quiet_dicom
from medsam_engine.io.dicom.tags import functional_groups

# Type 1: a SEG cannot refer to the images without them.
_NEEDED = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
# X-rays, photographs and most ultrasound images lie nowhere in space: a SEG of theirs has no frame of reference either.
_NEEDED_WITH_POSITION = ("FrameOfReferenceUID", "ImageOrientationPatient", "PixelSpacing")
# Type 2: they may be empty, but must be there. The pattern is what a value must look like to be taken over.
_MAY_BE_EMPTY = {
    "PatientID": "", "PatientName": "", "PatientBirthDate": r"\d{8}", "PatientSex": "[MFO]", "StudyID": "",
    "StudyDate": r"\d{8}", "StudyTime": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", "AccessionNumber": "",
    "ReferringPhysicianName": "",
}  # fmt: skip


def source_headers(files: Sequence[Path], where: Path) -> list[Any]:
    """The source images `files` of `where` without their pixels, as highdicom takes them.

    Anonymized images lack type-2 attributes, or have text in them that is no date or sex: these become empty. Text in
    any character set, several at once included (PS3.5 6.1.2.5), becomes UTF-8. SpacingBetweenSlices, which is often
    wrong, is left out: highdicom measures it from the slices' positions.

    Raises:
        InvalidArgument: the file cannot be read.
        Unsupported: an identifier or a place is missing, or one identifier stands for several images.
    """
    limit = ByteLimit.of(None)
    with quiet_dicom():
        datasets = [read_dataset(path, limit, pixels=False) for path in files]
        for dataset in datasets:
            _drop_unreadable(dataset)
        _check_needed(datasets, where)
        _check_unique(datasets, where)
        return [_fit(dataset) for dataset in datasets]


def _fit(dataset: Any) -> Any:
    if dataset.get("SpecificCharacterSet"):
        dataset.decode()
        dataset.SpecificCharacterSet = "ISO_IR 192"
    elif "SpecificCharacterSet" in dataset:  # empty means ASCII just as an absent one does; highdicom refuses it
        del dataset.SpecificCharacterSet
    for name, pattern in _MAY_BE_EMPTY.items():
        value = str(dataset.get(name) or "").strip()
        if not value or (pattern and not (re.fullmatch(pattern, value) and _is_convertible(name, value))):
            setattr(dataset, name, "")
    if "FrameOfReferenceUID" in dataset and not dataset.FrameOfReferenceUID:
        del dataset.FrameOfReferenceUID  # highdicom would copy the empty one
    for holder in (dataset, *(measures for group in functional_groups(dataset, 0)
                              for measures in group.get("PixelMeasuresSequence") or [])):  # fmt: skip
        if "SpacingBetweenSlices" in holder:
            del holder.SpacingBetweenSlices
    return dataset


def _drop_unreadable(dataset: Any) -> None:
    """Without attributes whose text is no value of their type; those that count were checked when the file was read."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            # pydicom warns of text that is no number, and gives the text.
            readable = element.VR not in ("IS", "DS") or not isinstance(element.value, str) or not element.value
        except Exception:  # pydicom raises nearly every kind for a damaged element
            readable = False
        if not readable:
            del dataset[tag]


def _is_convertible(name: str, value: str) -> bool:
    from pydicom.valuerep import DA, TM

    try:
        return name == "PatientSex" or (TM if name.endswith("Time") else DA)(value) is not None
    except ValueError:  # the thirteenth month
        return False


def _check_needed(datasets: list[Any], where: Path) -> None:
    missing: dict[int, list[str]] = {}  # by in how many files
    there = False  # whether an element stands there without a value, as anonymizers leave it
    for name in (*_NEEDED, *_NEEDED_WITH_POSITION):
        concerned = [
            dataset for dataset in datasets if name in _NEEDED or dataset.get("ImagePositionPatient") is not None
        ]
        blank = [dataset for dataset in concerned if not dataset.get(name)]
        if blank:
            missing.setdefault(len(blank), []).append(name)
            there = there or any(name in dataset for dataset in blank)
    if missing:
        identifiers = any("UID" in name for names in missing.values() for name in names)
        counted = [f"{', '.join(names)} in {count} of {len(datasets)} files" for count, names in missing.items()]
        state = ("empty" if there else "missing") + ("; anonymized?" if identifiers else "")
        each = "it" if sum(map(len, missing.values())) == 1 else "each of them"
        raise Unsupported(
            f"output: got no {'; no '.join(counted)} of {where} ({state}), expected {each} in every image that a DICOM "
            f"SEG refers to; choose .nii.gz or .nrrd, or restore the {'UIDs' if identifiers else 'tags'}"
        )


def _check_unique(datasets: list[Any], where: Path) -> None:
    counts = Counter(str(dataset.SOPInstanceUID) for dataset in datasets)
    uid, count = counts.most_common(1)[0]
    if count > 1:
        raise Unsupported(
            f"output: got the SOPInstanceUID {uid} in {count} of {len(datasets)} files of {where} (anonymized?), "
            "expected one for each image that a DICOM SEG refers to; choose .nii.gz or .nrrd, or restore the UIDs"
        )
