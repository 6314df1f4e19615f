# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM files and folders as images and volumes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom_pixels import DicomPixels, decode, read_dataset
from medsam_engine.io.dicom_planes import Plane, plane_of, stack_planes
from medsam_engine.io.extras import require
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


def read_dicom_file(path: Path) -> MedicalImage:
    """One file: (H, W), or (D, H, W) of a multi-frame object, with a last axis of 3 for colour.

    Raises:
        InvalidArgument: damaged, no image, or frames that make no volume.
        Unsupported: no decoder for its compression, or the extra [medical] is missing.
    """
    dataset = read_dataset(path)
    pixels = decode(dataset, path)
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
    return MedicalImage(
        array=pixels.values,
        spacing=spacing,
        origin=origin,
        direction=direction,
        modality=str(dataset.get("Modality") or ""),
        path=path,
        colour=pixels.colour,
        spaced=spaced,
        positioned=positioned,
        source=source,
        notes=tuple(notes),
    )


def _multi_frame(dataset: Any, pixels: DicomPixels, path: Path, frames: int) -> MedicalImage:
    planes = [plane_of(dataset, frame) for frame in range(frames)]
    source = DicomSource((path,), tuple(range(frames)))
    per_frame = "PerFrameFunctionalGroupsSequence" in dataset
    if not per_frame or any(plane.position is None or plane.directions is None for plane in planes):
        notes = [*pixels.notes, f"{frames} frames without positions, taken in the file's order"]
        spacing = (planes[0].column_spacing, planes[0].row_spacing, planes[0].thickness or 1.0)
        place = (0.0, 0.0, 0.0)
        return _image(dataset, pixels, path, notes, spacing, place, np.eye(3), source, False, planes[0].spaced)
    names = [f"frame {frame + 1}" for frame in range(frames)]
    # Frame k of the file is slice k of the array wherever that is possible: it is how people number them.
    stack = stack_planes(planes, names, str(path), keep_descending=True)
    ordered = DicomPixels(pixels.values[list(stack.order)], pixels.colour, pixels.notes)
    source = DicomSource((path,), stack.order)
    return _image(
        dataset,
        ordered,
        path,
        pixels.notes,
        stack.spacing,
        stack.origin,
        stack.direction,
        source,
        True,
        planes[0].spaced,
    )


def _scan(folder: Path) -> tuple[list[_Header], list[str]]:
    """The image files of a folder (not of its subfolders), and notes about the others."""
    pydicom = require("pydicom", "medical", f"reading {folder}")
    headers: list[_Header] = []
    others: Counter[str] = Counter()
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.name == "DICOMDIR":
            continue
        if not pydicom.misc.is_dicom(path):
            others["no DICOM file"] += 1
            continue
        dataset = read_dataset(path, stop_before_pixels=True)
        modality = str(dataset.get("Modality") or "")
        if "Rows" not in dataset or modality in _NOT_IMAGES:
            others[modality or "no image"] += 1
            continue
        headers.append(
            _Header(
                path=path,
                series=str(dataset.get("SeriesInstanceUID") or "without UID"),
                description=str(dataset.get("SeriesDescription") or ""),
                modality=modality,
                size=(int(dataset.Rows), int(dataset.Columns)),
                frames=int(dataset.get("NumberOfFrames") or 1),
                plane=plane_of(dataset),
            )
        )
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


def read_dicom_series(folder: Path, series: str | None = None) -> MedicalImage:
    """A folder of single-frame files of one series, sorted by position: (D, H, W), with a last axis of 3 for colour.

    Raises:
        InvalidArgument: no or several series, a missing or doubled slice, a tilted gantry, a damaged file.
        Unsupported: no decoder for the compression, or the extra [medical] is missing.
    """
    headers, notes = _scan(folder)
    if not headers:
        raise InvalidArgument(
            f"image: got no DICOM image in {folder}, expected the files of a series; name their folder"
        )
    chosen = _chosen_series(headers, series, folder)
    if len(chosen) == 1 and chosen[0].frames > 1:
        return read_dicom_file(chosen[0].path)
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
    values, colour, slice_notes = _decoded(files, folder)
    return MedicalImage(
        array=values,
        spacing=stack.spacing,
        origin=stack.origin,
        direction=stack.direction,
        modality=chosen[0].modality,
        path=folder,
        colour=colour,
        spaced=chosen[0].plane.spaced,
        source=DicomSource(tuple(files)),
        notes=(*notes, *slice_notes),
    )


def _decoded(files: Sequence[Path], folder: Path) -> tuple[NDArray[np.generic], bool, list[str]]:
    slices: list[NDArray[np.generic]] = []
    notes: Counter[str] = Counter()
    colour = False
    for k, path in enumerate(files):
        pixels = decode(read_dataset(path), path)
        if k and pixels.colour != colour:
            raise InvalidArgument(f"series: got grey and colour slices in {folder}, expected one kind; separate them")
        colour = pixels.colour
        slices.append(pixels.values)
        notes.update(pixels.notes)
    # Slices may come out as int16 and uint16 by their values; together they are int32, and narrowed again.
    values = engine_values(np.stack(slices), folder)
    return values, colour, [f"{note} ({count} slices)" for note, count in notes.items()]
