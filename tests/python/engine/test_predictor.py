# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The SAM-style Predictor gives what the Engine gives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, ImageEmbedding, InvalidArgument, Predictor

HEIGHT, WIDTH = 96, 128  # conftest's image
BOX = (30, 20, 90, 70)  # around its object


def test_predict_is_the_engines(engine: Engine, image: NDArray[np.uint8], embedding: ImageEmbedding) -> None:
    predictor = Predictor(engine)
    predictor.set_image(image)
    assert predictor.is_image_set
    assert predictor.original_size == (HEIGHT, WIDTH)
    masks, scores, logits = predictor.predict(
        np.array([[60, 45]]), np.array([1]), box=np.array(BOX), allow_untrained=True
    )
    expected = engine.predict(embedding, BOX, [[60, 45]], [1], multimask_output=True, allow_untrained=True)
    np.testing.assert_array_equal(masks, expected.masks[0])
    np.testing.assert_array_equal(scores, expected.iou_predictions[0])
    np.testing.assert_array_equal(logits, expected.low_res_logits[0])
    assert (masks.shape, scores.shape, logits.shape) == ((3, HEIGHT, WIDTH), (3,), (3, 256, 256))


def test_sams_refinement_loop(engine: Engine, image: NDArray[np.uint8]) -> None:
    predictor = Predictor(engine)
    predictor.set_image(image)
    _, scores, logits = predictor.predict(box=np.array(BOX))
    best = logits[[scores.argmax()]]
    masks, _, _ = predictor.predict(box=np.array(BOX), mask_input=best, multimask_output=False, allow_untrained=True)
    assert masks.shape == (1, HEIGHT, WIDTH)


def test_without_an_image(engine: Engine, image: NDArray[np.uint8]) -> None:
    predictor = Predictor(engine)
    with pytest.raises(InvalidArgument, match="set_image"):
        predictor.predict(box=BOX)
    predictor.set_image(image)
    with pytest.raises(InvalidArgument):
        predictor.set_image(image.astype(np.float64))
    assert predictor.is_image_set
    predictor.reset_image()
    with pytest.raises(InvalidArgument, match="set_image"):
        _ = predictor.original_size


def test_one_prompt_a_call(engine: Engine, image: NDArray[np.uint8]) -> None:
    predictor = Predictor(engine)
    predictor.set_image(image)
    with pytest.raises(InvalidArgument, match="got 2"):
        predictor.predict(box=[BOX, BOX])
