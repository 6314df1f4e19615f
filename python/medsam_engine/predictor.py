# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The calling convention of segment-anything's SamPredictor, over an Engine."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine._core import ImageEmbedding
from medsam_engine.engine import Engine
from medsam_engine.errors import InvalidArgument


class Predictor:
    """One image at a time, one prompt per call. Keeps the image, so it is not thread-safe; the Engine is."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._embedding: ImageEmbedding | None = None

    @property
    def is_image_set(self) -> bool:
        """Whether set_image was called."""
        return self._embedding is not None

    @property
    def original_size(self) -> tuple[int, int]:
        """(H, W) of the image, pixels. InvalidArgument without an image."""
        return self.get_image_embedding().original_size

    def set_image(self, image: NDArray[np.generic], *, modality: str | None = None) -> None:
        """Encodes `image`, RGB or gray; see Engine.encode. After an error, the previous image stays set."""
        self._embedding = self.engine.encode(image, modality=modality)

    def reset_image(self) -> None:
        """Forgets the image."""
        self._embedding = None

    def get_image_embedding(self) -> ImageEmbedding:
        """The embedding of the image. InvalidArgument without an image."""
        if self._embedding is None:
            raise InvalidArgument("image: got none, expected one; call set_image(image) first")
        return self._embedding

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = True,
        *,
        allow_untrained: bool = False,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
        """Masks for one prompt, with SamPredictor's arguments in its order.

        Args:
            point_coords: (P, 2) x, y in pixels.
            point_labels: (P,) 1 = object, 0 = background.
            box: (4,) x0, y0, x1, y1 in pixels, ends inclusive.
            mask_input: (1, h, w) float32 logits of an earlier call.
            multimask_output: True = three alternatives, which is SamPredictor's default; False = one mask.
            allow_untrained: answer prompts that the weights were not trained with; see Engine.predict.

        Returns:
            masks (M, H, W) bool, iou_predictions (M,) float32, low_res_logits (M, h, w) float32.

        Raises:
            InvalidArgument: no image is set, or more than one prompt is given; otherwise as Engine.predict.
        """
        prediction = self.engine.predict(
            self.get_image_embedding(),
            box=box,
            point_coords=point_coords,
            point_labels=point_labels,
            mask_input=mask_input,
            multimask_output=multimask_output,
            allow_untrained=allow_untrained,
        )
        if len(prediction) != 1:
            raise InvalidArgument(
                f"prompts: got {len(prediction)}, expected 1; use Engine.predict for several prompts of an image"
            )
        return prediction.masks[0], prediction.iou_predictions[0], prediction.low_res_logits[0]
