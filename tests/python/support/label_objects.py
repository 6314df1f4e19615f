# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM SEG and RTSTRUCT files made by hand for a test, so that each can have the one odd thing that it is about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_builder import item
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medsam_engine import io

SEG, LABELMAP, RTSTRUCT = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("66.4", "66.7", "481.3"))
Frame = tuple[int, int, NDArray[Any]]  # segment, slice, pixels


def _file(uid: str, modality: str) -> Any:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = uid, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = uid, meta.MediaStorageSOPInstanceUID, modality
    made.SpecificCharacterSet = "ISO_IR 192"
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    return made


def headers(image: io.MedicalImage) -> list[Any]:
    """The files of a series, in the order of its slices."""
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in image.source.files]  # type: ignore[union-attr]  # a DICOM image has one


def frames_of(labels: NDArray[Any]) -> list[Frame]:
    """One binary frame per label and slice that has it."""
    numbers = [int(n) for n in np.unique(labels) if n]
    return [(n, k, part == n) for n in numbers for k, part in enumerate(labels) if (part == n).any()]


def _group(frame: Frame, sources: list[Any], kind: str, referring: bool) -> Any:
    number, k, _ = frame
    group = item(PlanePositionSequence=[item(ImagePositionPatient=list(sources[k].ImagePositionPatient))])
    if kind != "LABELMAP":
        group.SegmentIdentificationSequence = [item(ReferencedSegmentNumber=number)]
    if referring:
        source = item(ReferencedSOPClassUID=sources[k].SOPClassUID, ReferencedSOPInstanceUID=sources[k].SOPInstanceUID)
        group.DerivationImageSequence = [item(SourceImageSequence=[source])]
    return group


def seg_dataset(
    image: io.MedicalImage, frames: Sequence[Frame], kind: str = "BINARY", *, referring: bool = False, **tags: Any
) -> Any:
    """A SEG of `frames` on the slices of a series. `tags` replace its own; None leaves one out."""
    sources = headers(image)
    made = _file(LABELMAP if kind == "LABELMAP" else SEG, "SEG")
    stack = np.array([pixels for _, _, pixels in frames])
    made.FrameOfReferenceUID = sources[0].FrameOfReferenceUID
    made.SegmentationType = kind
    made.NumberOfFrames, made.Rows, made.Columns = stack.shape
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    bits = 1 if kind == "BINARY" else 8 * stack.dtype.itemsize
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit = bits - 1
    numbers = sorted({n for n, _, _ in frames} if kind != "LABELMAP" else {int(n) for n in np.unique(stack) if n})
    made.SegmentSequence = [item(SegmentNumber=n, SegmentLabel=f"organ {n}") for n in numbers]
    if kind == "FRACTIONAL":
        made.MaximumFractionalValue = 200
    made.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(sources[0].ImageOrientationPatient))],
            PixelMeasuresSequence=[
                item(PixelSpacing=list(sources[0].PixelSpacing), SliceThickness=1, SpacingBetweenSlices=99)
            ],
        )
    ]
    made.PerFrameFunctionalGroupsSequence = [_group(frame, sources, kind, referring) for frame in frames]
    made.PixelData = np.packbits(stack.ravel(), bitorder="little").tobytes() if bits == 1 else stack.tobytes()
    made.PixelData += bytes(len(made.PixelData) % 2)
    made["PixelData"].VR = "OB" if bits <= 8 else "OW"
    for name, value in tags.items():
        if value is None:
            del made[name]
        else:
            setattr(made, name, value)
    return made


def saved(path: Path, dataset: Any) -> Path:
    """The file, written."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def contour(points: NDArray[np.float64], kind: str = "CLOSED_PLANAR", **tags: Any) -> Any:
    """A contour through LPS points (N, 3) in mm."""
    return item(
        ContourGeometricType=kind,
        NumberOfContourPoints=len(points),
        ContourData=[f"{value:.4f}" for value in points.ravel()],
        **tags,
    )


def in_mm(image: io.MedicalImage, points: Sequence[Sequence[float]], k: float) -> NDArray[np.float64]:
    """Points given in columns and rows of slice k, as LPS mm."""
    indices = np.array([[x, y, k] for x, y in points])
    return np.asarray(indices @ image.affine[:3, :3].T + np.asarray(image.origin))


def rtstruct_dataset(image: io.MedicalImage, rois: dict[int, tuple[str, list[Any]]], **tags: Any) -> Any:
    """An RTSTRUCT of contours by ROI number and name."""
    source = headers(image)[0]
    made = _file(RTSTRUCT, "RTSTRUCT")
    made.StructureSetLabel = "made"
    made.ReferencedFrameOfReferenceSequence = [
        item(
            FrameOfReferenceUID=source.FrameOfReferenceUID,
            RTReferencedStudySequence=[
                item(RTReferencedSeriesSequence=[item(SeriesInstanceUID=source.SeriesInstanceUID)])
            ],
        )
    ]
    made.StructureSetROISequence = [
        item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID=source.FrameOfReferenceUID)
        for number, (name, _) in rois.items()
    ]
    made.ROIContourSequence = [
        item(ReferencedROINumber=number, ContourSequence=contours) for number, (_, contours) in rois.items()
    ]
    for name, value in tags.items():
        setattr(made, name, value)
    return made
