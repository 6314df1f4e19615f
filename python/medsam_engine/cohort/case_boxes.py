# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The boxes and lines of a case in the indices of its image, wherever the case has them from."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine import io
from medsam_engine.cohort.case_spec import CaseSpec, ObjectPrompt
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.boxes import check_boxes, line_from_mm
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.formats import Format, input_format
from medsam_engine.io.labeled_boxes import BoxOptions, LabeledBoxes, Line, resolve_boxes
from medsam_engine.io.npz_file import load_arrays


def boxes_of(case: CaseSpec, image: io.MedicalImage, max_bytes: int | None = None) -> LabeledBoxes:
    """The prompts of a case in the image's indices. InvalidArgument: one is wrong for this image, by its line."""
    if case.boxes_from is not None:
        return resolve_boxes(BoxOptions([], [], Path(case.boxes_from), 0, 0), image, max_bytes)
    if not case.objects:
        return _boxes_inside(Path(case.path), image, max_bytes)
    boxes: list[NDArray[np.float64]] = []
    lines: dict[int, Line] = {}
    for k, row in enumerate(case.objects):
        box = [list(row.box)]
        try:
            if row.kind == "line":
                spanned, lines[k] = _line_of(row, image)
                boxes.append(spanned)
                continue
            wanted = BoxOptions([] if row.in_mm else box, box if row.in_mm else [], None, 0, 0)
            boxes.append(resolve_boxes(wanted, image).boxes)
        except Error as error:
            raise InvalidArgument(f"{case.source} line {row.line}: {error}" if row.line else str(error)) from error
    labels = np.array([row.label for row in case.objects], np.int64)
    names = tuple(row.written_name for row in case.objects)
    return LabeledBoxes(np.vstack(boxes), labels, names, named=any(row.name for row in case.objects), lines=lines)


def _line_of(row: ObjectPrompt, image: io.MedicalImage) -> tuple[NDArray[np.float64], Line]:
    """The box (1, 4) or (1, 6) that a longest diameter spans, and its ends x0, y0, x1, y1 in pixels."""
    ends = line_from_mm(row.box, image) if row.in_mm else np.array(row.box).reshape(2, -1)
    if image.is_volume and ends.shape[1] == 2 and image.grid[0] == 1:  # one slice: which z is no question
        ends = np.hstack([ends, np.zeros((2, 1))])
    if ends.shape[1] != (3 if image.is_volume else 2):
        wanted = "x0, y0, z0, x1, y1, z1 in a volume" if image.is_volume else "x0, y0, x1, y1 in an image"
        raise InvalidArgument(f"line: got {2 * ends.shape[1]} numbers, expected {wanted} of {image.grid}")
    got = f"line: got ({', '.join(f'{value:.10g}' for value in row.box)})"
    if image.is_volume and ends[0, 2] != ends[1, 2]:
        raise InvalidArgument(
            f"{got}, from slice {ends[0, 2]:g} to slice {ends[1, 2]:g}, expected both ends on one slice of the file"
        )
    if (ends[0] == ends[1]).all():
        raise InvalidArgument(f"{got}, expected two ends that differ; give the longest diameter of the object")
    spanned = np.hstack([ends.min(axis=0), ends.max(axis=0)]).reshape(1, -1)
    if check_boxes(spanned, image.grid, lambda _: "line"):  # a note: an end beyond the last pixel
        raise InvalidArgument(f"{got}, outside the image {image.grid}, expected ends inside; pixels count from 0")
    return spanned, (float(ends[0, 0]), float(ends[0, 1]), float(ends[1, 0]), float(ends[1, 1]))


def _boxes_inside(path: Path, image: io.MedicalImage, max_bytes: int | None) -> LabeledBoxes:
    """The boxes that an NPZ case holds beside its image, as a run over a folder takes them."""
    if input_format(path) is not Format.NPZ:
        raise InvalidArgument(f"cases: got no box for {path}, expected some; only NPZ files hold their own")
    values = load_arrays(path, "boxes", limit=ByteLimit.of(max_bytes))["boxes"]
    boxes = values.astype(np.float64).reshape(-1, 6 if image.is_volume else 4) if values.size else values[:0]
    depth, height, width = (1, *image.grid) if len(image.grid) == 2 else image.grid
    most = [width, height, depth] if image.is_volume else [width, height]
    boxes = np.where(boxes == [*most, *most], boxes - 1, boxes)  # such an end means the last pixel (medsam/folder.hpp)
    return resolve_boxes(BoxOptions(boxes.tolist(), [], None, 0, 0), image)
