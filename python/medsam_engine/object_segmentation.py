# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The methods of Engine that describe each object: its size, its box and the model's own estimate of its IoU."""

from __future__ import annotations  # so that help(Engine) shows ArrayLike and not the twenty lines behind it

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine import _core
from medsam_engine._core import ImageEmbedding
from medsam_engine.engine_log import forward_messages
from medsam_engine.prompts import box3d_array, box_array
from medsam_engine.segmentation import Segmentation, segmentation
from medsam_engine.volume_arguments import core_planes, core_spacing


class ObjectSegmentation:
    """Base of Engine, which makes `_core`."""

    _core: _core.Engine

    def segment_objects(
        self,
        image: NDArray[np.generic] | ImageEmbedding,
        boxes: ArrayLike,
        *,
        modality: str | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Segmentation:
        """Segments one object per box, like segment, and describes each mask.

        Args:
            image: an image as for encode, or an embedding.
            boxes: (N, 4): x0, y0, x1, y1 in pixels, ends inclusive; N may be 0.
            modality: as in encode; an embedding already carries the modality of its image.
            cancelled: called between batches; returning True ends the call with Cancelled.

        Returns:
            labels (H, W) uint16 or uint32, equal to those of segment, and one entry per box, in the order of the boxes:
            the size of its mask in pixels, the box of the mask, and the model's own estimate of its IoU.

        Raises:
            Error: the errors of segment.
        """
        labels, stats = self._core.segment(image, box_array(boxes), modality=modality or "", cancelled=cancelled)
        forward_messages(self._core)
        return segmentation(labels, stats)

    def segment_volume_objects(
        self,
        volume: NDArray[np.generic],
        boxes: ArrayLike,
        *,
        profile: str | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
        modality: str | None = None,
        planes: str = "slices",
        spacing: Sequence[float] | None = None,
    ) -> Segmentation:
        """Segments one object per 3D box, like segment_volume, and describes each object.

        Args:
            volume: (D, H, W) gray or (D, H, W, 3) RGB, with dtypes and strides as for encode.
            boxes: (N, 6): x0, y0, z0, x1, y1, z1 in voxels, ends inclusive; N may be 0.
            profile: a name of profile_names() for this call; None = the profile of the engine.
            progress: called after each step as progress(done, total).
            cancelled: called before each step; returning True ends the call with Cancelled.
            modality: the modality of the volume, as in encode.
            planes: as in segment_volume.
            spacing: as in segment_volume.

        Returns:
            labels (D, H, W) uint16 or uint32, equal to those of segment_volume, and one entry per box, in the order of
            the boxes: the size of the object in voxels, its box, and the model's own estimate of its IoU, which is the
            mean over its slices, weighted by their voxels; NaN if no voxel was found.

        Raises:
            Error, Exception: the errors of segment_volume.
        """
        labels, stats = self._core.segment_volume(
            volume,
            box3d_array(boxes),
            profile=profile or "",
            modality=modality or "",
            progress=progress,
            cancelled=cancelled,
            planes=core_planes(planes),
            spacing=core_spacing(spacing),
        )
        forward_messages(self._core)
        return segmentation(labels, stats)
