# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The SAM-style Predictor gives what the Engine gives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, ImageEmbedding, InvalidArgument, Predictor, Session, Unsupported

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


@pytest.mark.parametrize("box", [None, BOX])
def test_points_that_the_weights_do_not_know_are_clicks_of_a_session(
    engine: Engine, image: NDArray[np.uint8], box: tuple[int, ...] | None
) -> None:
    predictor = Predictor(engine)
    shown = image.copy()
    predictor.set_image(shown)
    shown[...] = 0  # what is answered is the image that was set
    session = Session(engine, image)
    if box is not None:
        session.add_box("a", box)
    session.add_click("a", [60, 45])
    session.add_click("a", [100, 80], positive=False)
    coords, labels = np.array([[60, 45], [0, 0], [100, 80]]), np.array([1, -1, 0])
    for _ in range(2):  # a call does not depend on the one before
        masks, scores, logits = predictor.predict(coords, labels, box)
        np.testing.assert_array_equal(masks, session.mask("a")[np.newaxis])
        assert (masks.shape, scores.shape, logits.shape) == ((1, HEIGHT, WIDTH), (1,), (1, 256, 256))
        assert np.isnan(scores).all()
        assert np.isnan(logits).all()
    with pytest.raises(Unsupported):  # the logits of a model are none of a session's prompts
        predictor.predict(coords, labels, mask_input=np.zeros((1, 256, 256), np.float32))


def test_points_of_a_gray_image_with_an_axis_of_its_own(engine: Engine, image: NDArray[np.uint8]) -> None:
    predictor = Predictor(engine)
    predictor.set_image(image[..., :1])
    masks, _, _ = predictor.predict([[60, 45]], [1])
    session = Session(engine, image[..., 0])
    session.add_click("a", [60, 45])
    np.testing.assert_array_equal(masks[0], session.mask("a"))


def test_points_that_begin_nothing(engine: Engine, image: NDArray[np.uint8]) -> None:
    predictor = Predictor(engine)
    predictor.set_image(image)
    with pytest.raises(InvalidArgument, match="got 1 of label 0 and no box"):
        predictor.predict([[60, 45], [5, 5]], [0, -1])
    with pytest.raises(InvalidArgument, match=r"got \(60, 96\) .* expected a position in its 128 x 96 pixels"):
        predictor.predict([[60, HEIGHT]], [1])
    with pytest.raises(InvalidArgument, match="got 2"):
        predictor.predict([[[60, 45]], [[60, 45]]], [[1], [1]])
    with pytest.raises(InvalidArgument, match="point_labels"):
        predictor.predict([[60, 45]])
