# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The boxes of an image's objects, from any of the options that give them, as voxel indices, with labels and names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.box_files import read_boxes
from medsam_engine.io.boxes import boxes_from_mm, check_boxes, jittered
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.io.named_boxes import default_name
from medsam_engine.io.slicer_markups import is_markups, markups_boxes

Line = tuple[float, float, float, float]


@dataclass(frozen=True)
class BoxOptions:
    """What was asked for on the command line."""

    box: list[list[float]]
    box_mm: list[list[float]]
    boxes_from: Path | None
    jitter: int
    seed: int

    def check(self) -> None:
        """Says before an image is read that the options do not go together. InvalidArgument."""
        sources = {"--box": self.box, "--box-mm": self.box_mm, "--boxes-from": self.boxes_from}
        given = [name for name, value in sources.items() if value]
        if len(given) > 1:
            raise InvalidArgument(f"prompt: got {' and '.join(given)}, expected one of them; run once for each")
        if self.jitter < 0:
            raise InvalidArgument(f"--jitter: got {self.jitter}, expected 0 pixels or more; see --help")
        if self.jitter and self.boxes_from is None:
            raise InvalidArgument("--jitter: got it without --boxes-from, expected both; it loosens tight boxes")
        if self.boxes_from is not None and not self.boxes_from.exists():
            raise InvalidArgument(
                f"--boxes-from: got {self.boxes_from}, expected a label map, a DICOM SEG or an RTSTRUCT; no such file"
            )


@dataclass(frozen=True)
class LabeledBoxes:
    """Boxes (N, 4) of an image or (N, 6) of a volume, ends inclusive, and the label (N,) that each is to get.

    Attributes:
        names: of each label; of points without a box, which are one object with the label 1, one name.
        named: whether names were given, by an option or by the file that the boxes are from.
        notes: on the file that the boxes are from, for people.
        lines: x0, y0, x1, y1 of the longest diameters (RECIST) that were given instead of boxes, by their index in
            `boxes`, which has the box that each line spans, on its slice.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    named: bool = False
    notes: tuple[str, ...] = ()
    lines: Mapping[int, Line] = field(default_factory=dict)

    @property
    def names_by_label(self) -> dict[int, str]:
        """The name of each label that is to be written."""
        labels = self.labels if len(self.labels) else [1]
        return {int(label): name for label, name in zip(labels, self.names, strict=True)}

    @property
    def written_names(self) -> dict[int, str] | None:
        """The names for io.write; None where nobody gave any."""
        return self.names_by_label if self.named else None

    @property
    def highest(self) -> int:
        """The largest label to be written; points without a box are one object."""
        return int(self.labels.max(initial=1))

    def reached(self, depth: int) -> list[int]:
        """The slices of a volume of `depth` that lie in a box: those that the engine looks at, ascending.

        With points alone, which are for volumes of one slice, and with a line, which does not say how far its object
        reaches, all.
        """
        if not len(self.boxes) or self.lines:
            return list(range(depth))
        reached = np.zeros(depth, np.bool_)
        for first, last in self.boxes[:, [2, 5]].astype(np.int64):
            reached[first : last + 1] = True
        return [int(z) for z in np.flatnonzero(reached)]

    def relabeled(self, result: NDArray[np.generic]) -> NDArray[np.generic]:
        """The engine's labels 1 to N, (D, H, W) or (H, W), as the labels of the boxes; `result` may be written to."""
        if np.array_equal(self.labels, np.arange(1, len(self.labels) + 1)):
            return result
        highest = int(self.labels.max())
        dtype = np.uint16 if highest <= 65535 else np.uint32
        table = np.concatenate([[0], self.labels]).astype(dtype)
        renamed = result if result.dtype == dtype else np.zeros(result.shape, dtype)
        for part, out in zip(result, renamed, strict=True):  # slice by slice: an index takes 8 bytes per voxel
            out[...] = table[part.astype(np.int64)]
        return renamed


def resolve_boxes(options: BoxOptions, image: MedicalImage, max_bytes: int | None = None) -> LabeledBoxes:
    """The boxes in the image's indices; `max_bytes` of the file of --boxes-from as io.read.

    Raises:
        InvalidArgument: a wrong count of numbers for this image, a corner outside it (mm), a file of --boxes-from that
            io.read_boxes refuses, a box outside the image.
    """
    width = 6 if image.is_volume else 4
    if options.boxes_from is not None and is_markups(options.boxes_from):
        regions, names = markups_boxes(options.boxes_from, image)
        boxes = jittered(regions, options.jitter, image.grid, options.seed).astype(np.float64)
        return LabeledBoxes(boxes, np.arange(1, len(boxes) + 1), names, named=True)
    if options.boxes_from is not None:
        found = read_boxes(options.boxes_from, image, max_bytes=max_bytes)
        boxes = jittered(found.boxes, options.jitter, image.grid, options.seed).astype(np.float64)
        named = any(name != default_name(int(label)) for label, name in zip(found.labels, found.names, strict=True))
        return LabeledBoxes(boxes, found.labels, found.names, named, found.notes)
    if options.box_mm:
        boxes = boxes_from_mm(options.box_mm, image).astype(np.float64)
    else:
        boxes = np.array(options.box, dtype=np.float64).reshape(len(options.box), -1 if options.box else width)
        if width == 6 and boxes.shape[1] == 4 and image.grid[0] == 1:  # one slice: which z is no question
            zero = np.zeros((len(boxes), 1))
            boxes = np.hstack([boxes[:, :2], zero, boxes[:, 2:], zero])
        if boxes.shape[1] != width:
            wanted = "x0,y0,z0,x1,y1,z1 for a volume" if width == 6 else "x0,y0,x1,y1 for an image"
            raise InvalidArgument(
                f"--box: got {boxes.shape[1]} numbers, expected {wanted} of {image.grid}; correct the box"
            )
    notes = check_boxes(boxes, image.grid, lambda k: f"box {k + 1}")  # as its label, from 1
    labels = np.arange(1, len(boxes) + 1)
    names = tuple(default_name(int(k)) for k in labels) or (default_name(1),)
    return LabeledBoxes(boxes, labels, names, notes=tuple(notes))
