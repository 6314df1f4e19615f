# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The boxes of a case in the indices of its image, wherever the case has them from."""

from pathlib import Path

import numpy as np

from medsam_engine import io
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.formats import Format, input_format
from medsam_engine.io.labeled_boxes import BoxOptions, LabeledBoxes, resolve_boxes
from medsam_engine.io.npz_file import load_arrays


def boxes_of(case: CaseSpec, image: io.MedicalImage, max_bytes: int | None = None) -> LabeledBoxes:
    """The boxes of a case in the image's indices. InvalidArgument: one is wrong for this image, by its line."""
    if case.boxes_from is not None:
        return resolve_boxes(BoxOptions([], [], Path(case.boxes_from), 0, 0), image, max_bytes)
    if not case.objects:
        return _boxes_inside(Path(case.path), image, max_bytes)
    boxes = []
    for row in case.objects:
        box = [list(row.box)]
        try:
            wanted = BoxOptions([] if row.in_mm else box, box if row.in_mm else [], None, 0, 0)
            boxes.append(resolve_boxes(wanted, image).boxes)
        except Error as error:
            raise InvalidArgument(f"{case.source} line {row.line}: {error}" if row.line else str(error)) from error
    labels = np.array([row.label for row in case.objects], np.int64)
    names = tuple(row.written_name for row in case.objects)
    return LabeledBoxes(np.vstack(boxes), labels, names, named=any(row.name for row in case.objects))


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
