# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The identifiers and dates of a DICOM SEG, derived from what it is made of: the same answer is the same file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine._core import version

# What highdicom takes from the clock, and where the images say when they were made; the first one there counts.
_DATES = ("ContentDate", "SeriesDate", "InstanceCreationDate")
_TIMES = ("ContentTime", "SeriesTime", "InstanceCreationTime")
_OF_IMAGE = ("Content", "Acquisition", "Series", "Study")


def derive_identity(made: Any, images: Sequence[Any], frames: NDArray[np.generic], names: Mapping[int, str]) -> None:
    """Replaces the random UIDs and the present time of a new SEG.

    UIDs are "2.25." and 128 bits of a SHA-256 (PS3.5 B.2) over the images' UIDs, the labels, their names and the
    package's version. Dates and times are those of the first image.

    Args:
        made: the highdicom Segmentation.
        images: the headers of its images.
        frames: labels, unsigned integers.
        names: by label.
    """
    digest = hashlib.sha256()
    uids = [str(image.get("SOPInstanceUID")) for image in images]
    about = [version(), uids, list(frames.shape), str(frames.dtype), sorted(names.items())]
    digest.update(json.dumps(about).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(frames).data)
    known = digest.hexdigest()
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = _uid(known, "instance")
    made.SeriesInstanceUID = _uid(known, "series")
    dimension = _uid(known, "dimension")
    for item in (*made.get("DimensionOrganizationSequence", ()), *made.get("DimensionIndexSequence", ())):
        item.DimensionOrganizationUID = dimension
    for keywords, kind, unknown in ((_DATES, "Date", "19000101"), (_TIMES, "Time", "000000")):
        value = next((images[0].get(word + kind) for word in _OF_IMAGE if images[0].get(word + kind)), unknown)
        for keyword in keywords:
            if keyword in made:
                setattr(made, keyword, value)
    for item in made.get("ContributingEquipmentSequence", ()):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = f"{made.ContentDate}{made.ContentTime}"


def _uid(known: str, what: str) -> str:
    return f"2.25.{int(hashlib.sha256(f'{known} {what}'.encode()).hexdigest()[:32], 16)}"
