# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Prompts in all the shapes callers write them, and the errors for all others."""

from typing import Any

import numpy as np
import pytest

from medsam_engine import Engine, ImageEmbedding, InvalidArgument
from medsam_engine.prompts import box_array, prompt_arrays

BOX = [30, 20, 90, 70]
POINTS, LABELS = [[60, 45], [5, 5]], [1, 0]


def test_boxes_become_n_by_4() -> None:
    for box in (BOX, tuple(BOX), np.array(BOX, np.uint8), [BOX], np.array([BOX], np.float32)):
        array = box_array(box)
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, [BOX])
    assert box_array([]).shape == (0, 4)
    assert box_array(np.empty((0, 4), np.int64)).shape == (0, 4)
    # A transposed array is walked by its strides, not by its memory.
    np.testing.assert_array_equal(box_array(np.asfortranarray([BOX, BOX[::-1]])), [BOX, BOX[::-1]])


def test_parts_are_put_together() -> None:
    one = prompt_arrays(BOX, POINTS, LABELS, None)
    assert one.count == 1
    assert one.point_coords is not None
    assert one.point_labels is not None
    assert one.point_coords.shape == (1, 2, 2)
    assert one.point_labels.dtype == np.int32
    several = prompt_arrays([BOX] * 3, [POINTS] * 3, [LABELS] * 3, np.zeros((3, 1, 4, 4), np.float32))
    assert several.count == 3
    assert several.mask_input is not None
    assert several.mask_input.shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "got none"),
        ({"box": [1, 2, 3]}, r"shape \(3,\)"),
        ({"box": [[BOX]]}, r"shape \(1, 1, 4\)"),
        ({"box": [BOX, [1, 2]]}, "different lengths"),
        ({"box": ["a", "b", "c", "d"]}, "dtype <U1"),
        ({"box": [True, False, True, True]}, "dtype bool"),
        ({"box": [1j, 2, 3, 4]}, "dtype complex128"),
        ({"box": np.ma.masked_equal(BOX, 20)}, "masked"),
        ({"point_coords": POINTS}, "point_labels"),
        ({"point_labels": LABELS}, "point_coords"),
        ({"point_coords": [60, 45], "point_labels": [1]}, r"shape \(2,\)"),
        ({"point_coords": [[1, 2, 3]], "point_labels": [1]}, r"shape \(1, 3\)"),
        ({"point_coords": POINTS, "point_labels": [1]}, "one label for each point"),
        ({"point_coords": POINTS, "point_labels": [1.0, 0.0]}, "dtype float64"),
        ({"point_coords": POINTS, "point_labels": [True, False]}, "dtype bool"),
        ({"point_coords": POINTS, "point_labels": [1, 2]}, "got 2"),
        ({"point_coords": POINTS, "point_labels": [1, 2**32 + 1]}, "got 4294967297"),
        ({"box": [BOX, BOX], "point_coords": POINTS, "point_labels": LABELS}, "2 from box, 1 from point_coords"),
        ({"mask_input": np.zeros((256, 256))}, "dtype float64"),
        ({"mask_input": np.zeros((256, 256), np.int32)}, "dtype int32"),
        ({"mask_input": np.zeros((1, 3, 256, 256), np.float32)}, "alternatives"),
        ({"mask_input": np.zeros((1, 3, 4), np.float32)}, r"\(1, 256, 256\)"),
        # Ranges are the core's to check.
        ({"box": [90, 20, 30, 70]}, "box"),
        ({"box": [0, 0, 1000, 70]}, "box"),
        ({"box": [-2, 0, 10, 70]}, "box"),
        ({"box": [0, 0, np.nan, 70]}, "box"),
        ({"box": [0, 0, np.inf, 70]}, "box"),
        ({"point_coords": [[129, 5]], "point_labels": [1]}, "point"),
        ({"point_coords": [[np.nan, 5]], "point_labels": [1]}, "point"),
    ],
)
def test_bad_prompts(engine: Engine, embedding: ImageEmbedding, prompt: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        engine.predict(embedding, **prompt)
    assert "\n" not in str(caught.value)


def test_not_an_embedding(engine: Engine) -> None:
    with pytest.raises(InvalidArgument, match=r"ndarray.*engine\.encode"):
        engine.predict(np.zeros((4, 4), np.uint8), box=BOX)  # type: ignore[arg-type]
