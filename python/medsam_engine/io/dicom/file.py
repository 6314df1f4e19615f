# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One DICOM file as an image or, of several frames, a volume."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.pixels import DicomPixels, decode, read_dataset
from medsam_engine.io.dicom.planes import plane_of, stack_planes
from medsam_engine.io.dicom.tags import check_all_or_none, check_frames
from medsam_engine.io.medical_image import DicomSource, MedicalImage, Vector


def read_dicom_file(path: Path, limit: ByteLimit) -> MedicalImage:
    """One file: (H, W), or (D, H, W) of a multi-frame object, with a last axis of 3 for color.

    Raises:
        InvalidArgument: damaged, no image, or frames that make no volume.
        Unsupported: no decoder for its compression, or a package of a full installation is missing.
    """
    dataset = read_dataset(path, limit)
    pixels = decode(dataset, path, limit)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if pixels.values.ndim - int(pixels.color) == 3:
        return _multi_frame(dataset, pixels, path, frames)
    plane = plane_of(dataset)
    notes = [*pixels.notes, *([plane.note] if plane.note else [])]
    positioned = plane.position is not None and plane.directions is not None
    if positioned:
        stack = stack_planes([plane], [path.name], str(path))
        spacing, origin, direction = stack.spacing, stack.origin, stack.direction
    else:
        spacing, origin, direction = (plane.column_spacing, plane.row_spacing, 1.0), (0.0, 0.0, 0.0), np.eye(3)
    return _image(
        dataset, pixels, path, notes, spacing, origin, direction, DicomSource((path,)), positioned, plane.spaced
    )


def _image(
    dataset: Any,
    pixels: DicomPixels,
    path: Path,
    notes: list[str],
    spacing: Vector,
    origin: Vector,
    direction: NDArray[np.float64],
    source: DicomSource,
    positioned: bool,
    spaced: bool,
) -> MedicalImage:
    modality = str(dataset.get("Modality") or "")
    return MedicalImage(
        array=pixels.values,
        spacing=spacing,
        origin=origin,
        direction=direction,
        modality=modality,
        path=path,
        color=pixels.color,
        spaced=spaced,
        positioned=positioned,
        source=source,
        padding=pixels.padding if any(pixels.padding) else (),
        hounsfield=is_hounsfield(modality, [pixels], notes),
        notes=tuple(notes),
    )


def is_hounsfield(modality: str, slices: Sequence[DicomPixels], notes: list[str]) -> bool:
    """Whether a CT's values may be Hounsfield units; True for other modalities. Adds a note where they cannot.

    They are where the file says so: a rescale rule with an intercept and no other type. Where it says nothing they are
    taken for it when a voxel lies from -1024 to below 0, as air, lung and fat do: stored values with an offset do not.
    """
    if modality.upper() != "CT":
        return True
    other = sorted({part.units for part in slices} - {"HU", "unstated"})
    if other:
        notes.append(f"CT in units of {other[0]}, not in Hounsfield units")
        return False
    if any(part.units == "HU" or part.below_zero for part in slices):
        return True
    notes.append("CT without RescaleIntercept and without values below 0: these are not Hounsfield units")
    return False


def _multi_frame(dataset: Any, pixels: DicomPixels, path: Path, frames: int) -> MedicalImage:
    check_frames(dataset, frames, path)
    planes = [plane_of(dataset, frame) for frame in range(frames)]
    source = DicomSource((path,), tuple(range(frames)))
    notes = [*pixels.notes, *([planes[0].note] if planes[0].note else [])]
    if "PerFrameFunctionalGroupsSequence" in dataset:
        check_all_or_none([plane.position is not None for plane in planes], "ImagePositionPatient", path)
        check_all_or_none([plane.directions is not None for plane in planes], "ImageOrientationPatient", path)
        check_all_or_none([plane.spaced for plane in planes], "PixelSpacing", path)
    placed = planes[0].position is not None and planes[0].directions is not None
    if "PerFrameFunctionalGroupsSequence" not in dataset or not placed:
        notes.append(f"{frames} frames without positions, taken in the file's order")
        spacing = (planes[0].column_spacing, planes[0].row_spacing, planes[0].thickness or 1.0)
        place = (0.0, 0.0, 0.0)
        return _image(dataset, pixels, path, notes, spacing, place, np.eye(3), source, False, planes[0].spaced)
    names = [f"frame {frame + 1}" for frame in range(frames)]
    # Frame k of the file is slice k of the array wherever that is possible: it is how people number them.
    stack = stack_planes(planes, names, str(path), keep_descending=True)
    order = list(stack.order)
    padding = tuple(pixels.padding[k] for k in order) if pixels.padding else ()
    ordered = replace(pixels, values=pixels.values[order], padding=padding)
    return _image(
        dataset,
        ordered,
        path,
        notes,
        stack.spacing,
        stack.origin,
        stack.direction,
        DicomSource((path,), stack.order),
        True,
        planes[0].spaced,
    )
