# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The part of Engine that tells of each object: its labels come with sizes and the model's own estimates."""

from __future__ import annotations  # help(Engine) says ArrayLike, not the twenty lines that it stands for

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine import _core
from medsam_engine._core import ImageEmbedding
from medsam_engine.engine_log import forward_messages
from medsam_engine.prompts import box3d_array, box_array
from medsam_engine.segmentation import Segmentation, segmentation


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
        """The labels of segment, and for each box its mask's size and box, and the model's own estimate of its IoU.

        Args:
            image: as segment, and so are the others.
            boxes: (N, 4).
            modality: as encode.
            cancelled: asked between batches.

        Returns:
            labels (H, W), the same as segment's, and one entry per box, in the order of the boxes.

        Raises:
            Error: as segment.
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
    ) -> Segmentation:
        """The labels of segment_volume, and for each box its object's size, box and estimated IoU.

        The estimate of an object is the mean of those of its slices' masks, each weighted with the voxels it
        contributes; NaN when no voxel was found.

        Args:
            volume: as segment_volume, and so are the others.
            boxes: (N, 6).
            profile: for this call.
            progress: called after each step.
            cancelled: asked before each step.
            modality: the volume's.

        Returns:
            labels (D, H, W), the same as segment_volume's, and one entry per box, in the order of the boxes.

        Raises:
            Error, Exception: as segment_volume.
        """
        labels, stats = self._core.segment_volume(
            volume,
            box3d_array(boxes),
            profile=profile or "",
            modality=modality or "",
            progress=progress,
            cancelled=cancelled,
        )
        forward_messages(self._core)
        return segmentation(labels, stats)
