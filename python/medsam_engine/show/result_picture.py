# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The picture of a result: labels and prompts over what the engine saw, with axes."""

import numpy as np
from numpy.typing import NDArray

from medsam_engine import io
from medsam_engine.io.labeled_boxes import LabeledBoxes
from medsam_engine.show.axes_picture import image_tile
from medsam_engine.show.preview import Marks, chosen_slices, contact_sheet
from medsam_engine.show.slice_axes import slice_axes
from medsam_engine.windows import Windowed


def marks_of(prompts: LabeledBoxes, points: tuple[list[list[float]], list[int]]) -> Marks:
    """The boxes and lines, of an image or a volume, and the points as a picture draws them."""
    boxes = prompts.boxes
    if boxes.shape[1] == 4:  # of an image, which is drawn as a volume of one slice
        zero = np.zeros((len(boxes), 1))
        boxes = np.hstack([boxes[:, :2], zero, boxes[:, 2:], zero])
    crossing = list(prompts.lines)
    around = np.setdiff1d(np.arange(len(boxes)), crossing)
    lines = [[*prompts.lines[k], boxes[k, 2]] for k in crossing]
    return Marks(
        boxes[around],
        prompts.labels[around],
        np.array(points[0], np.float64).reshape(-1, 2),
        np.array(points[1], np.int64),
        np.array(lines, np.float64).reshape(-1, 5),
        prompts.labels[crossing],
    )


def result_picture(
    shown: Windowed,
    labels: NDArray[np.generic],
    source: io.MedicalImage,
    prompts: LabeledBoxes,
    points: tuple[list[list[float]], list[int]],
) -> NDArray[np.uint8]:
    """RGB uint8 (rows, columns, 3): an image with its objects, or a sheet of a volume's slices."""
    marks, axes = marks_of(prompts, points), slice_axes(source)
    if source.is_volume:
        slices = chosen_slices(labels, boxes=marks.boxes)
        return contact_sheet(shown.slices(slices), labels, slices=slices, marks=marks, axes=axes)
    return image_picture(shown, labels, marks, source, opacity=0.35)


def image_picture(
    shown: Windowed, labels: NDArray[np.generic], marks: Marks, source: io.MedicalImage, opacity: float
) -> NDArray[np.uint8]:
    """RGB uint8 of one image with its axes; no pixel is lost up to 4096, and small images are enlarged."""
    axes = slice_axes(source)
    pixels = shown.slices(range(source.grid[0]))
    tile = image_tile(source.grid, axes.spacing)
    return contact_sheet(
        pixels[np.newaxis], labels[np.newaxis], tile=tile, opacity=opacity, slices=[0], marks=marks, axes=axes
    )
