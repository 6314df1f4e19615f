# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What was found in an image or a volume: the label map, and of each object its size as it is told to people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Segmentation
from medsam_engine.io.labeled_boxes import LabeledBoxes
from medsam_engine.io.medical_image import MedicalImage


@dataclass(frozen=True)
class FoundObjects:
    """What the model found: label map (H, W) or (D, H, W), and its own estimate of each object's IoU (N,)."""

    labels: NDArray[np.generic]
    iou: NDArray[np.float64]


def relabeled(found: Segmentation, prompts: LabeledBoxes) -> FoundObjects:
    """The engine's objects, 1 to N, under the labels of their boxes."""
    return FoundObjects(prompts.relabeled(found.labels), np.array([o.iou for o in found.objects], np.float64))


@dataclass(frozen=True)
class ReportedObject:
    """One object of the label map, as it was written.

    Attributes:
        label: its value there.
        name: of the structure, "" when none was given.
        count: its pixels, or in a volume of several slices its voxels.
        size: of them in mm2, or in a volume of several slices mm3; None where the spacing is not known.
        iou: the model's own estimate; NaN when there is none.
        in_volume: whether it lies in a volume of several slices.
    """

    label: int
    name: str
    count: int
    size: float | None
    iou: float
    in_volume: bool

    def line(self) -> str:
        """The object as one line of text."""
        parts = [f"label {self.label:<5} {self.count:>10} {'voxels' if self.in_volume else 'pixels'}"]
        if self.size is not None:
            parts.append(f"{self.size / 1000:10.3f} ml" if self.in_volume else f"{self.size:10.1f} mm2")
        if self.count == 0:
            parts.append("nothing found")
        elif not math.isnan(self.iou):
            parts.append(f"IoU estimate {self.iou:.2f}")
        if self.name:
            parts.append(self.name)
        return "  ".join(parts)

    def content(self) -> dict[str, Any]:
        """The object for --json."""
        unit, measure = ("voxels", "volume_mm3") if self.in_volume else ("pixels", "area_mm2")
        return {
            "label": self.label,
            "name": self.name or None,
            unit: self.count,
            measure: self.size,
            "iou_estimate": self.iou,
        }


def reported_objects(
    found: FoundObjects, numbers: NDArray[np.int64], names: Sequence[str], source: MedicalImage
) -> list[ReportedObject]:
    """The objects in the order of `numbers` (N,), their labels; `names` has one each, or is empty."""
    in_volume = source.is_volume and source.grid[0] > 1
    each = None
    if source.spaced:  # of one slice the thickness is often not known, and does not matter to an area
        each = math.prod(source.spacing if in_volume else source.spacing[:2])
    counts = _counts(found.labels, numbers)
    iou = found.iou if len(found.iou) else np.full(len(numbers), np.nan)
    return [
        ReportedObject(
            int(number),
            names[k] if names else "",
            int(counts[k]),
            None if each is None else int(counts[k]) * each,
            float(iou[k]),
            in_volume,
        )
        for k, number in enumerate(numbers)
    ]


def _counts(labels: NDArray[np.generic], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    # Labels of a label map are any numbers up to 2**32: counted by place in the sorted list, not by value.
    order = np.argsort(numbers)
    sorted_counts = np.zeros(len(numbers), np.int64)
    for part in labels if labels.ndim == 3 else [labels]:  # slice by slice: a volume's labels are large
        place = np.searchsorted(numbers, part[part != 0], sorter=order)
        sorted_counts += np.bincount(place, minlength=len(numbers))[: len(numbers)]
    counts = np.zeros(len(numbers), np.int64)
    counts[order] = sorted_counts
    return counts
