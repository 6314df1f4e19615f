# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A label map together with what is known of each object in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SegmentedObject:
    """One box's object, as the model found it: before other objects were painted over it.

    Attributes:
        label: its value in the label map, k + 1 for the k-th box (a published profile may count otherwise, as
            docs/profiles.md has it).
        voxels: pixels of its mask in an image, voxels in a volume; 0 when nothing was found.
        box: what encloses it: (x0, y0, x1, y1), in a volume (x0, y0, z0, x1, y1, z1); voxel indices, ends inclusive.
            None when nothing was found.
        iou: the model's own estimate of the IoU of the mask with the object. A number that the model learned to give:
            mostly 0 to 1 but not bounded by it, and no probability. Of a volume's object the mean over its voxels,
            and NaN when nothing was found.
    """

    label: int
    voxels: int
    box: tuple[int, ...] | None
    iou: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The answer of Engine.segment_objects and Engine.segment_volume_objects.

    Attributes:
        labels: (H, W), of a volume (D, H, W), uint16, or uint32 for more than 65535 boxes: 0 background, k + 1 where
            the k-th box's object is. The caller's own.
        objects: one entry per box, in the order of the boxes.
    """

    labels: NDArray[np.uint16] | NDArray[np.uint32]
    objects: tuple[SegmentedObject, ...]


def segmentation(labels: NDArray[np.uint16] | NDArray[np.uint32], stats: Sequence[tuple[float, ...]]) -> Segmentation:
    """What the compiled core gives, (size, corners ..., iou) per object, as a Segmentation."""
    objects = []
    for k, (size, *corners, iou) in enumerate(stats):
        box = tuple(int(c) for c in corners) if size else None
        objects.append(SegmentedObject(k + 1, int(size), box, float(iou)))
    return Segmentation(labels, tuple(objects))
