# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM files and folders as images and volumes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom_pixels import DicomPixels, decode, read_dataset
from medsam_engine.io.dicom_planes import Plane, plane_of, stack_planes
from medsam_engine.io.dicom_tags import check_all_or_none, check_frames
from medsam_engine.io.edge import reading
from medsam_engine.io.extras import require
from medsam_engine.io.input_file import open_input
from medsam_engine.io.medical_image import DicomSource, MedicalImage, Vector, engine_values

_NOT_IMAGES = ("SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "SR", "PR", "KO", "REG")


@dataclass(frozen=True)
class _Header:
    path: Path
    series: str
    description: str
    modality: str
    size: tuple[int, int]
    frames: int
    plane: Plane


def read_dicom_file(path: Path, limit: ByteLimit) -> MedicalImage:
    """One file: (H, W), or (D, H, W) of a multi-frame object, with a last axis of 3 for colour.

    Raises:
        InvalidArgument: damaged, no image, or frames that make no volume.
        Unsupported: no decoder for its compression, or the extra [medical] is missing.
    """
    dataset = read_dataset(path, limit)
    pixels = decode(dataset, path, limit)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if pixels.values.ndim - int(pixels.colour) == 3:
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
        colour=pixels.colour,
        spaced=spaced,
        positioned=positioned,
        source=source,
        padding=pixels.padding if any(pixels.padding) else (),
        hounsfield=_is_hounsfield(modality, [pixels], notes),
        notes=tuple(notes),
    )


def _is_hounsfield(modality: str, slices: Sequence[DicomPixels], notes: list[str]) -> bool:
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


def _header(path: Path, limit: ByteLimit) -> _Header | str:
    """What the series needs to know of a file, or why it is no image of a series."""
    with open_input(path) as file:
        if file.read(132)[128:] != b"DICM":
            return "no DICOM file"
    dataset = read_dataset(path, limit, pixels=False)
    modality = str(dataset.get("Modality") or "")
    if "Rows" not in dataset or modality in _NOT_IMAGES:
        return modality or "no image"
    return _Header(
        path=path,
        series=str(dataset.get("SeriesInstanceUID") or "without UID"),
        description=str(dataset.get("SeriesDescription") or ""),
        modality=modality,
        size=(int(dataset.Rows), int(dataset.Columns)),
        frames=int(dataset.get("NumberOfFrames") or 1),
        plane=plane_of(dataset),
    )


def _scan(folder: Path, limit: ByteLimit) -> tuple[list[_Header], list[str]]:
    """The image files of a folder (not of its subfolders), and notes about the others."""
    require("pydicom", "medical", f"reading {folder}")
    headers: list[_Header] = []
    others: Counter[str] = Counter()
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.name == "DICOMDIR":
            continue
        with reading(path):  # which of many files it was is the first thing to say
            found = _header(path, limit)
        if isinstance(found, str):
            others[found] += 1
        else:
            headers.append(found)
    return headers, [f"{count} files left out: {kind}" for kind, count in sorted(others.items())]


def _chosen_series(headers: list[_Header], series: str | None, folder: Path) -> list[_Header]:
    by_series: dict[str, list[_Header]] = {}
    for header in headers:
        by_series.setdefault(header.series, []).append(header)
    found = "; ".join(
        f"{uid}: {len(members)} files, {members[0].modality}"
        + (f" '{members[0].description}'" if members[0].description else "")
        for uid, members in sorted(by_series.items())
    )
    if series is not None:
        if series not in by_series:
            raise InvalidArgument(f"series: got {series}, expected one of {folder} ({found}); copy its UID")
        return by_series[series]
    if len(by_series) > 1:
        raise InvalidArgument(
            f"series: got {len(by_series)} in {folder} ({found}), expected one; choose with --series UID (series=UID)"
        )
    return headers


def read_dicom_series(folder: Path, series: str | None, limit: ByteLimit) -> MedicalImage:
    """A folder of single-frame files of one series, sorted by position: (D, H, W), with a last axis of 3 for colour.

    Raises:
        InvalidArgument: no or several series, a missing or doubled slice, a tilted gantry, a damaged file.
        Unsupported: no decoder for the compression, or the extra [medical] is missing.
    """
    headers, notes = _scan(folder, limit)
    if not headers:
        raise InvalidArgument(
            f"image: got no DICOM image in {folder}, expected the files of a series; name their folder"
        )
    chosen = _chosen_series(headers, series, folder)
    if len(chosen) == 1 and chosen[0].frames > 1:
        return read_dicom_file(chosen[0].path, limit)
    for header in chosen:
        if header.frames > 1:
            raise InvalidArgument(
                f"series: got a multi-frame file {header.path.name} among {len(chosen)} files of {folder}, expected "
                "single slices or one multi-frame file; name the file you need"
            )
        if header.size != chosen[0].size:
            raise InvalidArgument(
                f"series: got slices of {chosen[0].size} and {header.size} pixels in {folder} ({chosen[0].path.name}, "
                f"{header.path.name}), expected one size; move localizers to a folder of their own"
            )
        if header.plane.position is None or header.plane.directions is None:
            raise InvalidArgument(
                f"series: got no position or orientation in {header.path.name} of {folder}, expected both in every "
                "slice; name single files instead"
            )
    stack = stack_planes([h.plane for h in chosen], [h.path.name for h in chosen], str(folder))
    files = [chosen[k].path for k in stack.order]
    values, slices, slice_notes = _decoded(files, folder, limit)
    notes += [*([chosen[0].plane.note] if chosen[0].plane.note else []), *slice_notes]
    padding = tuple(part.padding[0] if part.padding else None for part in slices)
    hounsfield = _is_hounsfield(chosen[0].modality, slices, notes)
    return MedicalImage(
        array=values,
        spacing=stack.spacing,
        origin=stack.origin,
        direction=stack.direction,
        modality=chosen[0].modality,
        path=folder,
        colour=slices[0].colour,
        spaced=chosen[0].plane.spaced,
        source=DicomSource(tuple(files)),
        padding=padding if any(padding) else (),
        hounsfield=hounsfield,
        notes=tuple(notes),
    )


def _decoded(
    files: Sequence[Path], folder: Path, limit: ByteLimit
) -> tuple[NDArray[np.generic], list[DicomPixels], list[str]]:
    """The voxels of all slices, what each file says of its own (without its pixels), and notes."""
    slices: list[NDArray[np.generic]] = []
    kinds: list[DicomPixels] = []
    notes: Counter[str] = Counter()
    for k, path in enumerate(files):
        left = ByteLimit(max(0, limit.max_bytes - sum(values.nbytes for values in slices)))
        with reading(path):
            pixels = decode(read_dataset(path, limit), path, left)
        if k and pixels.colour != kinds[0].colour:
            raise InvalidArgument(f"series: got grey and colour slices in {folder}, expected one kind; separate them")
        if k and pixels.units != kinds[0].units:
            raise InvalidArgument(
                f"series: got slices in different units in {folder} ({files[0].name}: {kinds[0].units}, {path.name}: "
                f"{pixels.units}), expected one RescaleIntercept and RescaleType; restore the tags of all slices"
            )
        slices.append(pixels.values)
        kinds.append(replace(pixels, values=np.empty(0, pixels.values.dtype)))
        notes.update(pixels.notes)
    # Slices may come out as int16 and uint16 by their values; together they are int32, and narrowed again.
    values = engine_values(np.stack(slices), folder)
    return values, kinds, [f"{note} ({count} slices)" for note, count in notes.items()]
