# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the axes of a slice say: voxel indices, and the millimeters of --box-mm. Needs NumPy only."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medsam_engine.io.medical_image import MedicalImage

_FARTHEST = 1e6  # mm: no scan lies a kilometer away
_FINEST = 1e-9  # steps smaller than this part of a coordinate are lost in its digits
_OBLIQUE = 0.5  # voxels: by more than this an axis of mm would be wrong somewhere on the grid


class MmScale(NamedTuple):
    """Millimeters along one index axis: `first` at the first voxel's center, then `step` per voxel, of either sign."""

    name: str  # x, y or z in LPS
    first: float
    step: float

    def at(self, index: float) -> float:
        """The coordinate of a voxel index, which may be a fraction."""
        return self.first + self.step * index

    def text(self, index: float) -> str:
        """The coordinate in words, to at least a tenth of a voxel: "z -12.5 mm"."""
        return f"{self.name} {self.at(index):.{decimals(abs(self.step) / 10)}f} mm"


@dataclass(frozen=True)
class SliceAxes:
    """The axes of an image's or a volume's slices.

    Attributes:
        spacing: mm per voxel along x and y, or any numbers in their proportion.
        mm: of the index axes x, y and z; None where no axis says what --box-mm takes.
        note: why there are no mm, in words for people; "" where there are.
        is_volume: whether slices have a number.
    """

    spacing: tuple[float, float]
    mm: tuple[MmScale, MmScale, MmScale] | None = None
    note: str = ""
    is_volume: bool = True

    def title(self, z: int) -> str:
        """Of slice `z`: its index, and its place where the slices lie in space."""
        place = "" if self.mm is None or not self.mm[2].name else self.mm[2].text(z)
        return "   ".join(part for part in (f"slice {z}" if self.is_volume else "", place) if part)


def slice_axes(image: MedicalImage) -> SliceAxes:
    """The axes of an image: the same coordinates as --box and --box-mm (`boxes_from_mm`) take."""
    flat = image.spacing[:2]
    if not image.spaced:
        return SliceAxes(flat, None, "the file has no pixel spacing: axes are in pixels only", image.is_volume)
    if not image.positioned and not image.is_volume:  # --box-mm counts from the center of the first pixel
        scales = [MmScale(name, 0.0, step) for name, step in zip("xy", flat, strict=True)]
        return _checked(SliceAxes(flat, (scales[0], scales[1], MmScale("", 0.0, 1.0)), "", False), image.grid)
    steps = image.direction * np.asarray(image.spacing)  # column k: mm in LPS per voxel along index axis k
    main = [int(np.argmax(np.abs(steps[:, k]))) for k in range(3)]
    sizes = np.array(([1, *image.grid] if not image.is_volume else list(image.grid))[::-1])
    rest = np.abs(steps)
    rest[main, range(3)] = 0.0
    # How far the coordinate of each LPS axis drifts over the grid along axes that should not change it.
    drift = (rest * (sizes - 1)).sum(axis=1)
    if len(set(main)) < 3 or (drift > _OBLIQUE * np.abs(steps).max(axis=1)).any():
        note = "the grid is oblique to the patient's axes (LPS): axes are in voxels only; use --box"
        return SliceAxes(flat, None, note, image.is_volume)
    x, y, z = (MmScale("xyz"[m], image.origin[m], float(steps[m, k])) for k, m in enumerate(main))
    return _checked(SliceAxes(flat, (x, y, z), "", image.is_volume), image.grid)


def _checked(axes: SliceAxes, grid: tuple[int, ...]) -> SliceAxes:
    """Without mm where the numbers of the file are no place for a patient: ticks could not be told apart."""
    for scale, size in zip(axes.mm or (), grid[::-1], strict=False):
        far = max(abs(scale.at(0)), abs(scale.at(size - 1)))
        if not (far <= _FARTHEST and abs(scale.step) > _FINEST * far and abs(scale.step) > _FINEST):
            note = f"the file's spacing or position along {scale.name} is implausible: axes are in voxels only"
            return SliceAxes(axes.spacing, None, note, axes.is_volume)
    return axes


def decimals(step: float) -> int:
    """Places behind the point that tell numbers apart which differ by `step`, at most 6."""
    return 0 if step >= 1 else min(6, math.ceil(-math.log10(step) - 1e-9))


def tick_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5, 10, 20, ... and their tenths, hundredths, ... with at most `most` steps in `span`."""
    wanted = max(span, 1e-9) / max(1, most)
    power = 10.0 ** math.floor(math.log10(wanted))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power >= wanted * (1 - 1e-9)), 10.0 * power)


def ticks(first: float, last: float, most: int, whole: bool) -> tuple[list[float], float]:
    """Round numbers from the smaller to the larger of two, ends inclusive, and the step between them.

    Args:
        first: one end.
        last: the other.
        most: about how many may be shown.
        whole: whole numbers only: of voxels.
    """
    low, high = min(first, last), max(first, last)
    step = tick_step(high - low, most)
    if whole:
        step = max(1.0, step)
    start, end = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [k * step for k in range(start, end + 1)], step
