# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The boxes of the objects in a file, with their numbers and names."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.medical_image import MedicalImage


def default_name(label: int) -> str:
    """The name of an object that has none."""
    return f"label {label}"


@dataclass(frozen=True)
class NamedBoxes:
    """The objects of a label map, a DICOM SEG or an RTSTRUCT on the grid of an image, ascending by label.

    Attributes:
        boxes: (N, 6) for a volume, (N, 4) for an image: x0, y0[, z0], x1, y1[, z1], voxel indices, ends inclusive.
        labels: (N,) the number of each object in the file.
        names: of each; "label 3" where the file has none for 3.
        notes: what was skipped, thresholded or could not be compared.
    """

    boxes: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Extents:
    """Collects the extents of objects slice by slice."""

    def __init__(self) -> None:
        self._low: dict[int, NDArray[np.int64]] = {}
        self._high: dict[int, NDArray[np.int64]] = {}

    def add(self, label: int, low: tuple[int, int, int], high: tuple[int, int, int]) -> None:
        """Adds the voxels from `low` to `high` (x, y, z), ends inclusive, to an object."""
        if label in self._low:
            np.minimum(self._low[label], low, out=self._low[label])
            np.maximum(self._high[label], high, out=self._high[label])
        else:
            self._low[label], self._high[label] = np.array(low, np.int64), np.array(high, np.int64)

    def boxes(self, names: dict[int, str], notes: list[str], image: MedicalImage, path: Path) -> NamedBoxes:
        """The boxes, with a note on named objects without a voxel. InvalidArgument if there is no box."""
        # Writers that count segments without a gap, as ours, describe labels that nobody has used by default names.
        empty = sorted(label for label in set(names) - set(self._low) if names[label] != default_name(label))
        if not self._low:
            raise InvalidArgument(
                f"labels: got no object with a voxel in {path}, expected at least one; check the file"
            )
        if empty:
            shown = ", ".join(f"{label} ({names[label]})" for label in empty[:5])
            more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
            notes = [*notes, f"{path.name}: no voxel of {shown}{more} in the image; left out"]
        labels = sorted(self._low)
        boxes = np.array([[*self._low[label], *self._high[label]] for label in labels], np.int64)
        return NamedBoxes(
            boxes=boxes if image.is_volume else boxes[:, [0, 1, 3, 4]],
            labels=np.array(labels, np.int64),
            names=tuple(names.get(label) or default_name(label) for label in labels),
            notes=tuple(notes),
        )
