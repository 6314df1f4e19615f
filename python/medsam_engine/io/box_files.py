# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reads the objects of a label map, a DICOM SEG or an RTSTRUCT as boxes on the grid of an image."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import one_line
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.boxes import boxes_from_labels
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.pixels import read_dataset
from medsam_engine.io.dicom.quiet import quiet_dicom
from medsam_engine.io.dicom.rtstruct import RTSTRUCT_CLASS, contour_boxes, roi_names
from medsam_engine.io.dicom.seg_boxes import SEG_CLASSES, seg_boxes, segment_names
from medsam_engine.io.dicom.slice_grid import slice_grid
from medsam_engine.io.edge import reading
from medsam_engine.io.files import read_labels
from medsam_engine.io.formats import Format, input_format
from medsam_engine.io.itk.nrrd_segments import NrrdSegment, nrrd_segments
from medsam_engine.io.label_names import names_in_table
from medsam_engine.io.medical_image import MedicalImage, check_same_grid
from medsam_engine.io.named_boxes import Extents, NamedBoxes, default_name


def read_boxes(path: str | os.PathLike[str], image: MedicalImage, *, max_bytes: int | None = None) -> NamedBoxes:
    """The tight box of each object in a label map, a DICOM SEG or an RTSTRUCT, with its number and name.

    Nothing is resampled. The voxels of a label map or a SEG must lie on those of the image to a tenth of a voxel, and
    the contours of an RTSTRUCT must lie in the planes of the slices.

    Args:
        path: NIfTI, NRRD, MetaImage, PNG, TIFF or NPZ as for `read_labels`, or a DICOM file: SEG (binary, fractional or
            label map) or RTSTRUCT.
        image: image from `read`. The files of a DICOM image must still exist.
        max_bytes: as for `read`.

    Raises:
        InvalidArgument: as for `read`; also if the grid or frame of reference is another, if it is a whole-slide
            segmentation, or if there is no object.
        Unsupported: an optional library or decoder is not installed.
    """
    where, limit = Path(path), ByteLimit.of(max_bytes)
    with reading(where, "labels"):
        if input_format(where) is Format.DICOM and not where.is_dir():
            with quiet_dicom():
                dataset = read_dataset(where, limit)
                kind = str(dataset.get("SOPClassUID") or "")
                if kind in SEG_CLASSES:
                    return seg_boxes(dataset, slice_grid(image, limit), where, limit)
                if kind == RTSTRUCT_CLASS:
                    return contour_boxes(dataset, slice_grid(image, limit), where)
                if "PixelData" not in dataset or dataset.get("Modality") == "SEG":
                    _refuse(dataset, where)
    return _of_label_map(where, image, max_bytes)


def read_names(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> dict[int, str]:
    """Names by label: of a CSV table, ITK-SNAP's label descriptions, a .seg.nrrd, a DICOM SEG or an RTSTRUCT.

    Args:
        path: .csv with rows label,name; .txt as ITK-SNAP exports it; .nrrd with 3D Slicer's fields; a DICOM file.
        max_bytes: as for `read`.

    Raises:
        InvalidArgument: the file is missing, damaged, of another kind, or has no names.
        Unsupported: pydicom is not installed.
    """
    where = Path(path)
    with reading(where, "names"):
        if where.suffix.lower() in (".csv", ".txt"):
            return names_in_table(where)
        names: dict[int, str] = {}
        if where.suffix.lower() in (".nrrd", ".nhdr"):
            names = {segment.value: segment.name for segment in nrrd_segments(where) if segment.name}
        elif input_format(where) is Format.DICOM and not where.is_dir():
            with quiet_dicom():
                dataset = read_dataset(where, ByteLimit.of(max_bytes))
                names = segment_names(dataset, where) if dataset.get("SegmentSequence") else roi_names(dataset, where)
        if names:
            return names
        raise InvalidArgument(
            f"names: got no names in {where}, expected a .csv (label,name), ITK-SNAP's .txt, a .seg.nrrd of 3D Slicer, "
            "a DICOM SEG or an RTSTRUCT; choose one of them"
        )


def _refuse(dataset: Any, path: Path) -> None:
    name = one_line(getattr(dataset.get("SOPClassUID"), "name", "") or "no class", 64)
    raise InvalidArgument(
        f"labels: got {name} ({one_line(dataset.get('Modality') or 'none', 16)}) in {path}, expected a label map, a "
        "DICOM SEG or an RTSTRUCT; convert it"
    )


def _of_label_map(path: Path, image: MedicalImage, max_bytes: int | None) -> NamedBoxes:
    segments: list[NrrdSegment] = []
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        with reading(path, "labels"):
            segments = nrrd_segments(path)
    if len({segment.layer for segment in segments}) > 1:
        return _of_layers(path, segments, image, max_bytes)
    boxes, numbers = boxes_from_labels(_on_grid(path, image, None, max_bytes))
    if not len(boxes):
        raise InvalidArgument(f"--boxes-from: got no label above 0 in {path}, expected at least one; check the file")
    names = {segment.value: segment.name for segment in segments}
    return NamedBoxes(boxes, numbers, tuple(names.get(int(number)) or default_name(int(number)) for number in numbers))


def _on_grid(path: Path, image: MedicalImage, layer: int | None, max_bytes: int | None) -> NDArray[np.generic]:
    labels, source = read_labels(path, volume=layer, max_bytes=max_bytes)
    check_same_grid(image, source)
    return labels.reshape(image.grid)


def _of_layers(path: Path, segments: list[NrrdSegment], image: MedicalImage, max_bytes: int | None) -> NamedBoxes:
    """Reads overlapping segments, which 3D Slicer stores as components of a voxel, each with its own values."""
    values = [segment.value for segment in segments]
    unique = len(set(values)) == len(values)
    notes = (
        [] if unique else [f"{path.name}: segments in layers share values; labels count the segments from 1 instead"]
    )
    label_of = {(s.layer, s.value): s.value if unique else k for k, s in enumerate(segments, start=1)}
    extents = Extents()
    for layer in sorted({segment.layer for segment in segments}):
        for box, value in zip(*boxes_from_labels(_on_grid(path, image, layer, max_bytes)), strict=True):
            if (layer, int(value)) not in label_of:
                raise InvalidArgument(
                    f"labels: got value {value} in layer {layer} of {path}, expected a segment's LabelValue; write it "
                    "again with 3D Slicer"
                )
            x0, y0, z0, x1, y1, z1 = (int(n) for n in (box if len(box) == 6 else np.insert(box, [2, 4], 0)))
            extents.add(label_of[layer, int(value)], (x0, y0, z0), (x1, y1, z1))
    names = {label_of[s.layer, s.value]: s.name or default_name(label_of[s.layer, s.value]) for s in segments}
    return extents.boxes(names, notes, image, path)
