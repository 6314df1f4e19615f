# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Boxes from 3D Slicer's regions of interest: markups files (.mrk.json) with markups of type ROI. Needs NumPy only.

The fields are those of Slicer's markups schema 1.0.3: center and size in mm, orientation as a 3x3 matrix, row by row,
whose columns are the box's axes; all in the coordinate system that the markup names.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import printable
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.boxes import boxes_from_mm
from medsam_engine.io.edge import reading
from medsam_engine.io.input_file import open_input, size_of
from medsam_engine.io.medical_image import MedicalImage

_MOST_BYTES = 1 << 24  # a region takes about 2 kB
_TO_LPS = {"LPS": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0)}
_TURNED = 1e-4  # of a cosine: 0.1 mm on a box of 1 m
_INSIDE = 1e-3  # of the smallest side of a voxel: by so much the faces move inwards


def is_markups(path: Path) -> bool:
    """Whether the name is that of a markups file."""
    return path.name.lower().endswith(".json")


def read_markups(path: Path) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The regions of a file in mm, LPS: (N, 6) x0, y0, z0, x1, y1, z1, lower corner first, and their names.

    Raises:
        InvalidArgument: no markups file, damaged, or with a markup that is no upright box: another type, a rotation
            other than by right angles, inside out, units other than mm, a size that is not positive.
    """
    with reading(path, "markups"), open_input(path, "markups") as file:
        if size_of(file) > _MOST_BYTES:
            raise InvalidArgument(f"markups: got {size_of(file)} bytes in {path}, expected at most {_MOST_BYTES}")
        text = file.read(_MOST_BYTES + 1)
        try:
            content = json.loads(text)
        except ValueError as error:
            raise InvalidArgument(f"markups: got {path}, expected JSON of 3D Slicer; {error}") from error
        markups = content.get("markups") if isinstance(content, dict) else None
        if not isinstance(markups, list) or not markups or not all(isinstance(markup, dict) for markup in markups):
            raise InvalidArgument(f"markups: got no markups in {path}, expected a .mrk.json with an ROI")
        names = tuple(_name(markup, k) for k, markup in enumerate(markups))
        boxes = [_box(markup, f"{name} in {path}") for markup, name in zip(markups, names, strict=True)]
        return np.array(boxes, np.float64), names


def markups_boxes(path: Path, image: MedicalImage) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The regions as voxel indices of an image, (N, 6) or (N, 4), ends inclusive, and their names.

    A box holds each voxel that a region covers wholly or in part; on a grid that is oblique to LPS, it is the index box
    around all eight corners.

    Raises:
        InvalidArgument: as `read_markups`; an image without a position; a region that reaches out of the image.
    """
    if not (image.positioned and image.spaced):
        raise InvalidArgument(
            f"markups: got {path} for {image.path}, which has no position in space, expected a medical image with one; "
            "give voxel indices with --box"
        )
    boxes, names = read_markups(path)
    # Faces that lie between two voxels must not take the one beyond them.
    margin = _INSIDE * min(image.spacing)
    return boxes_from_mm(boxes + margin * np.array([1, 1, 1, -1, -1, -1]), image), names


def _name(markup: dict[str, Any], k: int) -> str:
    name = markup.get("name")
    return printable(name) if isinstance(name, str) and name.strip() else f"ROI {k + 1}"


def _numbers(markup: dict[str, Any], key: str, count: int, where: str) -> NDArray[np.float64]:
    values = markup.get(key)
    good = isinstance(values, list) and len(values) == count
    if not good or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values or []):
        raise InvalidArgument(
            f"markups: got no {key} of {count} numbers for {where}; save the ROI again with 3D Slicer"
        )
    numbers = np.array([float(v) for v in values or []])
    if not np.isfinite(numbers).all():
        raise InvalidArgument(f"markups: got {key} {values} for {where}, expected finite numbers")
    return numbers


def _center(markup: dict[str, Any], where: str) -> NDArray[np.float64]:
    if "center" in markup:
        return _numbers(markup, "center", 3, where)
    points = markup.get("controlPoints")  # a file that was written by hand may have its point only
    if isinstance(points, list) and len(points) == 1 and isinstance(points[0], dict):
        return _numbers(points[0], "position", 3, where)
    raise InvalidArgument(f"markups: got no center for {where}; save the ROI again with 3D Slicer")


def _expect(markup: dict[str, Any], key: str, allowed: tuple[object, ...], where: str, remedy: str) -> None:
    value = markup.get(key)
    if not any(value is one or (isinstance(one, str) and value == one) for one in allowed):
        words = " or ".join(str(one) for one in allowed if one is not None)
        raise InvalidArgument(f"markups: got {key} {str(value)[:40]!r} for {where}, expected {words}; {remedy}")


def _box(markup: dict[str, Any], where: str) -> list[float]:
    _expect(markup, "type", ("ROI",), where, "save only ROIs in this file")
    _expect(markup, "roiType", ("Box", "BoundingBox", None), where, "draw a box")
    _expect(markup, "insideOut", (False, None), where, "switch off 'Inside out'")
    _expect(markup, "coordinateUnits", ("mm", None), where, "save the ROI in mm")
    _expect(markup, "coordinateSystem", ("LPS", "RAS"), where, "save the ROI again with 3D Slicer")
    center, size = _center(markup, where), _numbers(markup, "size", 3, where)
    if not (size > 0).all():
        raise InvalidArgument(f"markups: got size {size.tolist()} for {where}, expected three lengths above 0 mm")
    axes = np.eye(3)
    if "orientation" in markup:
        axes = _numbers(markup, "orientation", 9, where).reshape(3, 3)
    along = np.rint(np.abs(axes))
    upright = np.allclose(np.abs(axes), along, rtol=0, atol=_TURNED)
    if not upright or (along.sum(axis=0) != 1).any() or (along.sum(axis=1) != 1).any():
        cosine = min(1.0, float(np.abs(axes).max(axis=0).min()))
        raise InvalidArgument(
            f"markups: got a box rotated by {math.degrees(math.acos(cosine)):.2f} degrees for {where}, expected one "
            "along the patient's axes; reset the ROI's rotation (Transforms module, or draw it anew)"
        )
    center = center * np.array(_TO_LPS[markup["coordinateSystem"]])
    half = along @ size / 2
    return [*(center - half), *(center + half)]
