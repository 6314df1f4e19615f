# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM files made for a test, from pydicom's own small CT."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medsam_engine import io

RNG = np.random.default_rng(8)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def slice_dataset(pixels: NDArray[np.generic], **tags: Any) -> Any:
    """One CT image (H, W) uint16, int16 or uint8 with the given tags; None leaves a tag out."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    for name in ("DataSetTrailingPadding", "PixelPaddingValue"):
        if name in dataset:
            del dataset[name]
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    for name in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        if name in dataset:
            del dataset[name]
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize == 2 else "OB"
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.75], 2.0
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = list(AXIAL), [0.0, 0.0, 0.0]
    for name, value in tags.items():
        if value is None:
            if name in dataset:
                del dataset[name]
        else:
            setattr(dataset, name, value)
    pydicom.filewriter.correct_ambiguous_vr(dataset, is_little_endian=True)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def write_series(
    folder: Path,
    volume: NDArray[np.generic],
    positions: NDArray[np.float64],
    directions: tuple[float, ...] = AXIAL,
    **tags: Any,
) -> list[Path]:
    """One file per slice, named against the order of the positions, so that no reader can live on the names."""
    folder.mkdir(exist_ok=True)
    tags.setdefault("SeriesInstanceUID", generate_uid())
    files = []
    for k, (pixels, position) in enumerate(zip(volume, positions, strict=True)):
        dataset = slice_dataset(
            pixels, **tags, ImageOrientationPatient=list(directions), ImagePositionPatient=[float(p) for p in position]
        )
        files.append(folder / f"{len(volume) - k:03d}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    return files


def straight(count: int, step: float, directions: tuple[float, ...] = AXIAL) -> NDArray[np.float64]:
    """Positions of a stack along its normal from (10, -20, 30)."""
    normal = np.cross(directions[:3], directions[3:])
    return np.array([10.0, -20.0, 30.0]) + np.outer(np.arange(count) * step, normal)


def item(**tags: Any) -> Any:
    """An item of a sequence."""
    made = pydicom.Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def save(path: Path, dataset: Any) -> Path:
    """Writes a dataset, with US or SS decided by PixelRepresentation."""
    pydicom.filewriter.correct_ambiguous_vr(dataset, is_little_endian=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def read(path: Path, dataset: Any) -> io.MedicalImage:
    """Writes a dataset, and reads it through the package."""
    return io.read(save(path, dataset))


def stored(*shape: int, top: int = 4096) -> NDArray[Any]:
    """Random stored values from 0 to below `top`, uint16."""
    return RNG.integers(0, top, shape or (64, 60)).astype(np.uint16)
