# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The calling convention of segment-anything's SamPredictor, over an Engine."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine._core import ImageEmbedding
from medsam_engine.engine import Engine
from medsam_engine.errors import InvalidArgument
from medsam_engine.prompts import PromptArrays, prompt_arrays
from medsam_engine.session import Session
from medsam_engine.session_points import answers_natively, clicked_mask, session_of_image

_WITH_POINTS = (("points",), ("box", "points"))


class Predictor:
    """One image at a time, one prompt per call. Keeps the image, so it is not thread-safe; the Engine is."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._embedding: ImageEmbedding | None = None
        self._session: Session | None = None  # for points that the weights do not know

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
        embedding = self.engine.encode(image, modality=modality)
        # Made now, because it copies the pixels: the caller may change them before the first point.
        natively = all(answers_natively(self.engine, kinds) for kinds in _WITH_POINTS)
        session = None if natively else session_of_image(self.engine, image, modality=modality)
        self._embedding, self._session = embedding, session

    def reset_image(self) -> None:
        """Forgets the image."""
        self._embedding = self._session = None

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

        Points, with or without a box, that the weights were not trained with are answered as clicks of a Session: by a
        search over boxes round the first point on the object, unless a box is given, and by corrections of the mask
        near the other points. Then there is one mask, whatever `multimask_output` is, and its score and logits, which
        the model did not give, are NaN.

        Args:
            point_coords: (P, 2) x, y in pixels.
            point_labels: (P,) 1 = object, 0 = background.
            box: (4,) x0, y0, x1, y1 in pixels, ends inclusive.
            mask_input: (1, h, w) float32 logits of an earlier call.
            multimask_output: True = three alternatives, which is SamPredictor's default; False = one mask.
            allow_untrained: have the model itself answer prompts that its weights were not trained with; see
                Engine.predict.

        Returns:
            masks (M, H, W) bool, iou_predictions (M,) float32, low_res_logits (M, h, w) float32.

        Raises:
            InvalidArgument: no image is set, more than one prompt is given, or points that begin an object have none of
                label 1; otherwise as Engine.predict.
        """
        embedding = self.get_image_embedding()
        if point_coords is not None and mask_input is None and not allow_untrained:
            kinds = _WITH_POINTS[0] if box is None else _WITH_POINTS[1]
            if not answers_natively(self.engine, kinds):
                return self._clicked(prompt_arrays(box, point_coords, point_labels, None))
        prediction = self.engine.predict(
            embedding,
            box=box,
            point_coords=point_coords,
            point_labels=point_labels,
            mask_input=mask_input,
            multimask_output=multimask_output,
            allow_untrained=allow_untrained,
        )
        _check_one(len(prediction))
        return prediction.masks[0], prediction.iou_predictions[0], prediction.low_res_logits[0]

    def _clicked(self, prompt: PromptArrays) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
        _check_one(prompt.count)
        assert self._session is not None
        assert prompt.point_coords is not None
        assert prompt.point_labels is not None
        box = None if prompt.boxes is None else prompt.boxes[0]
        mask = clicked_mask(self._session, box, prompt.point_coords[0], prompt.point_labels[0])
        unknown = np.full((1, *self.engine.info.mask_shape), np.nan, np.float32)
        return mask[np.newaxis], np.full(1, np.nan, np.float32), unknown


def _check_one(prompts: int) -> None:
    if prompts != 1:
        raise InvalidArgument(f"prompts: got {prompts}, expected 1; use Engine.predict for several prompts of an image")
