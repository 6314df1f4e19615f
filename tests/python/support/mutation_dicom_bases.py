# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Sound DICOM files to change: pydicom's own, of every compression, and an enhanced multi-frame one that is made."""

from typing import Any

import mutations
import numpy as np
import pydicom
from dicom_builder import item, slice_dataset
from dicom_mutations import dicom_tags, explicit
from mutation_bases import Base
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

NAMES = {
    "ct": "CT_small.dcm", "mr": "MR_small.dcm", "rgb": "SC_rgb_small_odd.dcm", "rle": "MR_small_RLE.dcm",
    "jpeg": "SC_rgb_small_odd_jpeg.dcm", "jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg 2000": "MR_small_jp2klossless.dcm", "jpeg lossless": "SC_rgb_jpeg_gdcm.dcm",
}  # fmt: skip


def _testdata(name: str) -> bytes:
    content: bytes = explicit(pydicom.dcmread(str(get_testdata_file(name, download=False))))
    return content


def _made(name: str, rng: np.random.Generator, **tags: Any) -> Any:
    """A slice of 12 bits whose UID follows from `name`, so that its bytes are the same on every run."""
    dataset = slice_dataset(rng.integers(0, 4096, (9, 8)).astype(np.uint16), BitsStored=12, HighBit=11, **tags)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
    return dataset


def _multi_frame() -> bytes:
    dataset = _made("multi-frame", np.random.default_rng(2))
    dataset.NumberOfFrames, dataset.PixelData = 3, bytes(dataset.PixelData) * 3
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        del dataset[name]
    shared = item(PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    shared.PixelMeasuresSequence = [item(PixelSpacing=[0.5, 0.75], SliceThickness=2.0)]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 2.0 * k])]) for k in range(3)
    ]
    content: bytes = explicit(dataset)
    return content


def _changes(content: bytes) -> mutations.Strategy:
    return mutations.either(dicom_tags(content), dicom_tags(content), mutations.damaged(content))


DICOM = {name: Base("dicom", ".dcm", lambda file=file: _testdata(file), _changes) for name, file in NAMES.items()}
DICOM["multi-frame"] = Base("dicom", ".dcm", _multi_frame, _changes)


def series() -> list[bytes]:
    """Three slices of one volume."""
    rng = np.random.default_rng(3)
    uid = generate_uid(entropy_srcs=["series"])
    return [
        explicit(_made(f"slice {k}", rng, ImagePositionPatient=[0.0, 0.0, 2.5 * k], SeriesInstanceUID=uid))
        for k in range(3)
    ]


def _tags_or_bytes(content: bytes) -> mutations.Strategy:
    return mutations.either(dicom_tags(content), mutations.damaged(content))


SERIES_SLICE = Base("dicom", ".dcm", lambda: series()[1], _tags_or_bytes)
