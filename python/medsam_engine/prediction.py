# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The answer to the prompts of one call."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from medsam_engine import _core


class Prediction:
    """Masks of N prompts, M per prompt (1, or 3 with multimask_output), on an image of H rows and W columns.

    Immutable and safe to read from many threads; it may outlive its Engine. It keeps the logits and computes full-size
    masks each time they are requested, because 300 masks of a mammogram take 1.3 GB. Iteration computes the masks of
    one prompt at a time.
    """

    __slots__ = ("_core",)

    def __init__(self, core: _core.Prediction) -> None:
        """For Engine.predict."""
        self._core = core

    def __len__(self) -> int:
        """N, the number of prompts."""
        return self._core.size

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        """The masks (M, H, W) of one prompt after the other."""
        per_prompt = self._core.masks_per_prompt
        for n in range(len(self)):
            yield np.stack([self._core.mask(n, m) for m in range(per_prompt)])

    def __repr__(self) -> str:
        height, width = self.original_size
        return f"<Prediction of {len(self)} x {self._core.masks_per_prompt} masks, {width}x{height}>"

    @property
    def original_size(self) -> tuple[int, int]:
        """(H, W) of the image, pixels."""
        return self._core.height, self._core.width

    @property
    def iou_predictions(self) -> NDArray[np.float32]:
        """(N, M), read-only: the model's own estimate of the IoU of each mask, about 0 to 1."""
        return self._core.iou_predictions

    @property
    def low_res_logits(self) -> NDArray[np.float32]:
        """(N, M, h, w), read-only logits in the model's frame, padding included; > 0 = object."""
        return self._core.low_res_logits

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, M, H, W), a new array at each access.

        Raises:
            OutOfMemory: the masks do not fit into memory; use mask() or iterate.
        """
        return self._core.masks()

    def mask(self, n: int, m: int = 0) -> NDArray[np.bool_]:
        """Mask m of prompt n, (H, W), a new array.

        Raises:
            InvalidArgument: n is not in [0, N) or m not in [0, M).
        """
        return self._core.mask(n, m)
