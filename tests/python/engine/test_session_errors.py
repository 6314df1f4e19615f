# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Session: wrong arguments are one line each, and leave the session as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from session_volume import BOX, BOX_3D, DEPTH, HEIGHT, WIDTH

from medsam_engine import Engine, InvalidArgument, Session


@pytest.fixture(scope="module")
def volume() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (DEPTH, HEIGHT, WIDTH)).astype(np.uint8)


@pytest.fixture
def session(tiny_engine: Engine, volume: NDArray[np.uint8]) -> Session:
    return Session(tiny_engine, volume, [1.0, 1.0, 2.0])


WRONG_IMAGES: list[tuple[Any, dict[str, Any], str]] = [
    ([[1, 2], [3, 4]], {}, "image: got list"),
    (np.zeros(5, np.uint8), {}, "image: got shape"),
    (np.zeros((2, 4, 4, 3), np.uint8), {}, "image: got shape"),
    (np.zeros((0, 4), np.uint8), {}, "at least one pixel"),
    (np.zeros((4, 4)), {"window": "none"}, "float64"),
    (np.zeros((4, 4), np.complex64), {}, "complex64"),
    (np.zeros((4, 4), np.bool_), {}, "bool"),
    (np.full((4, 4), np.nan, np.float32), {}, "not finite"),
    (np.full((4, 4), np.inf, np.float32), {"window": "none"}, "not finite"),
    (np.ma.masked_array(np.zeros((4, 4), np.uint8), False), {}, "masked"),
    (np.zeros((4, 4), np.int16), {"window": "nobody"}, "window: got 'nobody'"),
    (np.zeros((4, 4, 3), np.uint8), {"window": "lung"}, "color"),
    (np.zeros((4, 4), np.uint8), {"modality": 3}, "modality: got int"),
    (np.zeros((2, 4, 4), np.uint8), {"spacing": [1, 1]}, "spacing: got 2"),
    (np.zeros((2, 4, 4), np.uint8), {"spacing": [1, 1, 0]}, "spacing: got 0"),
    (np.zeros((4, 4), np.uint8), {"spacing": [1, float("nan")]}, "spacing: got nan"),
    (np.zeros((4, 4), np.uint8), {"spacing": 5.0}, "spacing"),
    (np.zeros((4, 4), np.uint8), {"spacing": "abc"}, "spacing"),
    (np.zeros((4, 4), np.uint8), {"undo_bytes": -1}, "undo_bytes: got -1"),
    (np.zeros((4, 4), np.uint8), {"undo_bytes": 1.5}, "undo_bytes: got 1.5"),
    (np.zeros((4, 4), np.uint8), {"embedding_bytes": 1 << 70}, "embedding_bytes"),
]


@pytest.mark.parametrize(("image", "options", "words"), WRONG_IMAGES)
def test_wrong_images_are_one_line(tiny_engine: Engine, image: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Session(tiny_engine, image, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_engine(volume: NDArray[np.uint8]) -> None:
    nothing: Any = None
    with pytest.raises(InvalidArgument, match="engine: got NoneType"):
        Session(nothing, volume)


WRONG_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("add_box", ("a", BOX), {}, "slice: got none"),
    ("add_box", ("a", BOX, 9), {}, "plane 9 of axis 0"),
    ("add_box", ("a", BOX, -1), {}, "plane -1 of axis 0"),
    ("add_box", ("a", BOX, 1.5), {}, "slice: got 1.5"),
    ("add_box", ("a", BOX, 1, 3), {}, "axis 3"),
    ("add_box", ("a", BOX, 1, "0"), {}, "axis: got '0'"),
    ("add_box", ("a", [1, 1, 9, 9, 9], 1), {}, "box: got int64 of shape (5,)"),
    ("add_box", ("a", [1, 1, 99, 9], 1), {}, "outside the image"),
    ("add_box", ("a", [9, 1, 1, 9], 1), {}, "reversed"),
    ("add_box", ("a", [float("nan"), 1, 9, 9], 1), {}, "finite"),
    ("add_box", ("a", ["1", "2", "3", "4"], 1), {}, "box: got <U1"),
    ("add_box", ("a", [[1], [2, 3]], 1), {}, "box: got rows of different lengths"),
    ("add_box", ("a", BOX_3D, 2), {}, "six numbers with slice"),
    ("add_box", ("a", BOX_3D), {"axis": 1}, "six numbers with slice"),
    ("add_box", ("a", [4, 3, 1, 20, 15, 9]), {}, "outside the volume"),
    ("add_box", ("a", BOX_3D), {"planes": "two"}, "planes: got 'two'"),
    ("add_box", ("a", BOX_3D), {"planes": "three"}, "planes: got three planes for"),
    ("add_box", ("a", BOX, 1), {"planes": "three"}, "four numbers with progress, cancelled or planes"),
    ("add_box", ("", BOX, 1), {}, "the name"),
    ("add_box", ("a\nb", BOX, 1), {}, "the name"),
    ("add_box", ("a" * 501, BOX, 1), {}, "501 bytes"),
    ("add_box", (3, BOX, 1), {}, "type int"),
    ("add_click", ("a", [32, 5], True, 1), {}, "got (32, 5)"),
    ("add_click", ("a", [1, 2, 3], True, 1), {}, "point: got int64 of shape (3,)"),
    ("add_click", ("a", [True, False], True, 1), {}, "point: got bool"),
    ("add_click", ("a", [5, 5], "no", 1), {}, "positive: got str"),
    ("add_click", ("a", [5, 5], False, 1), {}, "negative one"),
    ("add_scribble", ("a", np.zeros((0, 2)), True, 1), {}, "0 points"),
    ("add_scribble", ("a", [[1, 2, 3]], True, 1), {}, "line: got int64 of shape (1, 3)"),
    ("add_lasso", ("a", [[1, 1], [5, 5]], 1), {}, "2 points"),
    ("add_lasso", ("a", [[1, 1], [5]], 1), {}, "outline: got rows of different lengths"),
    ("add_line", ("a", [1, 2, 3], 1), {}, "line: got int64 of shape (3,)"),
    ("add_mask", ("a", np.zeros((DEPTH, HEIGHT, WIDTH), np.float32)), {}, "mask: got dtype float32"),
    ("add_mask", ("a", np.zeros((HEIGHT, WIDTH), np.bool_)), {}, "mask: got shape"),
    ("add_mask", ("a", np.zeros((DEPTH, HEIGHT, WIDTH + 1), np.bool_)), {}, "33 x 24"),
    ("add_mask", ("a", np.ma.masked_array(np.zeros((DEPTH, HEIGHT, WIDTH), np.bool_))), {}, "MaskedArray"),
    ("add_mask", ("a", [[True]]), {}, "mask: got list"),
    ("propagate", ("nobody",), {}, 'object "nobody"'),
    ("propagate", ("known",), {"axis": 1}, "plane of axis 1"),
    ("propagate", ("known",), {"axis": 4}, "axis 4"),
    ("propagate", ("known",), {"direction": "left"}, "direction"),
    ("propagate", ("known",), {"first": 4, "last": 1}, "planes 4 to 1"),
    ("propagate", ("known",), {"distance": -1.0}, "distance"),
    ("mask", ("nobody",), {}, 'object "nobody"'),
    ("remove", ("nobody",), {}, 'object "nobody"'),
    ("lock", ("nobody",), {}, 'object "nobody"'),
]


@pytest.mark.parametrize(("method", "given", "options", "words"), WRONG_CALLS)
def test_wrong_calls_are_one_line_and_change_nothing(
    session: Session, method: str, given: tuple[Any, ...], options: dict[str, Any], words: str
) -> None:
    session.add_box("known", BOX, 2)
    before = (session.objects, session.undo_steps)
    with pytest.raises(InvalidArgument) as caught:
        getattr(session, method)(*given, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (session.objects, session.undo_steps) == before
