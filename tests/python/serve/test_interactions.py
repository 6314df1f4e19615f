# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Boxes of the protocol, and what takes away, against what a Session answers; without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawing_client import PAIRS, SHAPE, DrawingClient, thin_box
from numpy.typing import NDArray

from medsam_engine import Engine, Session
from medsam_engine.serve.nninteractive import interactions
from medsam_engine.serve.nninteractive.drawing import Drawing
from medsam_engine.serve.nninteractive.geometry import Region

# --- boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_box_is_half_open_on_every_axis(drawing_client: DrawingClient, axis: int) -> None:
    pairs = thin_box(axis)
    region = drawing_client(interactions.add_box, pairs, True)
    expected = np.zeros(SHAPE, np.bool_)
    expected[tuple(slice(int(low), int(high)) for low, high in pairs)] = True
    np.testing.assert_array_equal(drawing_client.mask, expected)
    assert region is not None
    assert region.pairs() == pairs


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_box_is_carried_as_a_session_carries_it(
    drawing_client: DrawingClient, new_session: Callable[[], Session], axis: int
) -> None:
    drawing_client.drawing.propagates = True
    drawing_client(interactions.add_box, thin_box(axis), True)
    box = {0: (6, 4, 19, 11), 1: (6, 8, 19, 15), 2: (4, 8, 11, 15)}[axis]
    session = new_session()
    session.add_box("a", box, slice=12, axis=axis)
    assert session.propagate("a", axis=axis) is not None
    np.testing.assert_array_equal(drawing_client.mask, session.mask("a"))


def test_two_boxes_on_two_slices_are_one_object(
    drawing_client: DrawingClient, new_session: Callable[[], Session]
) -> None:
    drawing_client.drawing.propagates = True
    drawing_client(interactions.add_box, [[10, 11], [4, 12], [6, 20]], True)
    drawing_client(interactions.add_box, [[20, 21], [6, 14], [8, 22]], True)
    session = new_session()
    session.add_box("a", (6, 4, 19, 11), slice=10)
    session.propagate("a")
    session.add_box("a", (8, 6, 21, 13), slice=20)
    session.propagate("a")
    np.testing.assert_array_equal(drawing_client.mask, session.mask("a"))
    assert drawing_client.mask[10:21, 8, 12].all()


@pytest.mark.parametrize(
    "second", [[[12, 13], [4, 12], [22, 30]], [[20, 21], [16, 24], [22, 30]], [[12, 13], [8, 16], [10, 24]]]
)
def test_boxes_apart_or_twice_on_a_slice_add_to_the_object(
    drawing_client: DrawingClient, second: list[list[float]]
) -> None:
    drawing_client(interactions.add_box, thin_box(0), True)
    first = drawing_client.mask.copy()
    drawing_client(interactions.add_box, second, True)
    drawn = np.zeros(SHAPE, np.bool_)
    drawn[tuple(slice(int(low), int(high)) for low, high in second)] = True
    np.testing.assert_array_equal(drawing_client.mask, first | drawn)


def test_boxes_along_two_axes_add_up(drawing_client: DrawingClient) -> None:
    drawing_client.drawing.propagates = True
    drawing_client(interactions.add_box, thin_box(0), True)
    axial = drawing_client.mask.copy()
    drawing_client(interactions.add_box, thin_box(2, 22), True)
    assert (drawing_client.mask & ~axial).any()
    assert not (axial & ~drawing_client.mask).any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slightly_thick_box_is_an_oblique_view_of_a_plane(drawing_client: DrawingClient, axis: int) -> None:
    pairs = thin_box(axis)
    pairs[axis] = [11, 14]
    drawing_client(interactions.add_box, pairs, True)
    assert np.flatnonzero(drawing_client.mask.any(axis=tuple(a for a in range(3) if a != axis))).tolist() == [12]


def test_a_box_in_the_volume_is_a_sessions(drawing_client: DrawingClient, new_session: Callable[[], Session]) -> None:
    drawing_client(interactions.add_box, PAIRS, True)
    session = new_session()
    session.add_box("a", (6, 4, 8, 19, 11, 15))
    np.testing.assert_array_equal(drawing_client.mask, session.mask("a"))
    assert drawing_client.mask.any()


def test_a_box_in_the_volume_out_of_time(tiny_engine: Engine, drawn_volume: NDArray[np.uint8]) -> None:
    """The clock is past the end after the first plane: what is left is the middle plane, carried as far as may be."""
    ticks = iter(range(0, 100_000, 12))
    drawing = Drawing(
        Session(tiny_engine, drawn_volume, encode_ahead=False),
        SHAPE,
        (1.0, 1.0, 1.0),
        seconds=20,
        clock=lambda: next(ticks),
    )
    client = DrawingClient(drawing)
    client(interactions.add_box, PAIRS, True)
    assert client.mask[11].any()
    assert not client.mask[:8].any()
    assert not client.mask[16:].any()
    assert client.undo()
    assert not client.mask.any()


@pytest.mark.parametrize(
    "pairs",
    [
        [[12, 13], [5, 6], [6, 20]],  # two thin axes
        [[12, 13], [5, 6], [6, 7]],
        [[40, 41], [4, 12], [6, 20]],  # outside
        [[-5, -4], [4, 12], [6, 20]],
        [[12, 13], [100, 120], [6, 20]],
        [[1e12 - 1, 1e12 - 1], [0, 5], [0, 5]],
    ],
)
@pytest.mark.parametrize("positive", [True, False])
def test_boxes_that_leave_nothing_to_do(
    drawing_client: DrawingClient, pairs: list[list[float]], positive: bool
) -> None:
    assert drawing_client(interactions.add_box, pairs, positive) is None
    assert not drawing_client.mask.any()
    assert drawing_client.undo()  # the drawing_client has a marker for it


def test_a_box_over_the_edge_is_cut(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, [[12, 13], [-7, 10], [24, 90]], True)
    expected = np.zeros(SHAPE, np.bool_)
    expected[12, :10, 24:] = True
    np.testing.assert_array_equal(drawing_client.mask, expected)


def test_a_picture(tiny_engine: Engine) -> None:
    drawing = Drawing(
        Session(tiny_engine, np.zeros((1, 24, 32), np.uint8), encode_ahead=False), (1, 24, 32), (1.0, 1.0, 1.0)
    )
    client = DrawingClient(drawing)
    client(interactions.add_box, [[0, 1], [4, 10], [6, 20]], True)
    assert client.mask[0, 4:10, 6:20].all()
    assert client.mask.sum() == 6 * 14
    client(interactions.add_point, [0, 20, 28], True)


# --- taking away ------------------------------------------------------------------------------------------------------


def test_a_negative_box_takes_away_what_the_model_finds_in_it(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, thin_box(0), True)
    region = drawing_client(interactions.add_box, [[12, 13], [4, 8], [6, 10]], False)
    assert region is not None
    assert region.pairs() == [[12, 13], [4, 8], [6, 10]]
    assert not drawing_client.mask[12, 4:8, 6:10].any()
    assert drawing_client.mask.sum() == 8 * 14 - 16
    assert drawing_client.undo()
    assert drawing_client.mask.sum() == 8 * 14


def test_a_negative_box_in_the_volume(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, PAIRS, True)
    before = drawing_client.mask.copy()
    drawing_client(interactions.add_box, [[10, 15], [5, 10], [8, 14]], False)
    removed = before & ~drawing_client.mask
    assert removed.any()
    assert not removed[:10].any()
    assert not removed[15:].any()


def test_a_negative_lasso_erases_its_voxels_alone(drawing_client: DrawingClient) -> None:
    drawing_client.drawing.propagates = True
    drawing_client(interactions.add_box, thin_box(0), True)
    before = drawing_client.mask.copy()
    ring = np.zeros((1, 8, 8), np.bool_)
    ring[0, 2:6, 2:6] = True
    drawing_client(interactions.add_lasso, ring, Region((12, 2, 4), (13, 10, 12)), False)
    expected = before.copy()
    expected[12, 4:8, 6:10] = False
    np.testing.assert_array_equal(drawing_client.mask, expected)


def test_what_was_erased_stays_so_until_it_is_drawn_on(drawing_client: DrawingClient) -> None:
    drawing_client.drawing.propagates = True
    drawing_client(interactions.add_box, thin_box(0), True)
    corner = Region((12, 4, 6), (13, 8, 10))
    drawing_client(interactions.add_lasso, np.ones((1, 4, 4), np.bool_), corner, False)
    drawing_client(interactions.add_box, [[14, 15], [4, 12], [6, 20]], True)  # carried over slice 12
    assert not drawing_client.mask[corner.slices].any()
    drawing_client(interactions.add_point, [12, 5, 7], True)  # a click on it
    assert drawing_client.mask[corner.slices].all()
    drawing_client(interactions.add_lasso, np.ones((1, 4, 4), np.bool_), corner, False)
    drawing_client(interactions.add_box, thin_box(0), True)  # a new box on the slice
    assert drawing_client.mask[corner.slices].all()


def test_negative_strokes_on_nothing_do_nothing(drawing_client: DrawingClient) -> None:
    assert drawing_client(interactions.add_point, [12, 8, 12], False) is None
    line = np.ones((1, 1, 5), np.bool_)
    assert drawing_client(interactions.add_scribble, line, Region((12, 8, 8), (13, 9, 13)), False) is None


# --- what was erased, and what is copied ------------------------------------------------------------------------------


def test_the_ninth_piece_that_was_erased_comes_back_too(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, thin_box(0), True)
    erased = np.zeros(SHAPE[1:], np.bool_)
    for row in (5, 7, 9):
        for column in (7, 10, 13):
            erased[row, column : column + 2] = True
    erased[9, 14] = False  # the smallest piece
    drawing_client(interactions.add_lasso, erased[np.newaxis], Region((12, 0, 0), (13, *SHAPE[1:])), False)
    assert not drawing_client.mask[12][erased].any()
    drawing_client(interactions.add_point, [12, 9, 13], True)
    assert drawing_client.mask[12, 9, 13]
    assert drawing_client.mask[12][erased].sum() == 1


def test_pieces_that_are_left_out_are_logged(drawing_client: DrawingClient, caplog: pytest.LogCaptureFixture) -> None:
    drawn = np.zeros(SHAPE[1:], np.bool_)
    drawn[4:24:8, 2:30:6] = True
    assert np.count_nonzero(drawn) == 15
    drawing_client(interactions.add_scribble, drawn[np.newaxis], Region((12, 0, 0), (13, *SHAPE[1:])), True)
    assert "pieces_left_out drawn=15 used=8" in caplog.text


def test_a_prompt_in_a_plane_copies_no_volume(drawing_client: DrawingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask of 512 x 512 x 1000 voxels is 260 MB; a click on one plane needs that plane."""
    copied: list[tuple[int, ...]] = []
    whole_mask = Session.mask

    def noted(session: Session, *arguments: Any) -> NDArray[np.bool_]:
        mask = whole_mask(session, *arguments)
        copied.append(mask.shape)
        return mask

    for function, *arguments in (
        (interactions.add_box, thin_box(0), True),
        (interactions.add_point, [12, 9, 13], True),
        (interactions.add_point, [12, 9, 7], False),
    ):
        monkeypatch.setattr(Session, "mask", noted)
        with drawing_client.drawing.interaction():
            function(drawing_client.drawing, *arguments)
        assert drawing_client.drawing.change() is not None
        monkeypatch.undo()
    assert copied
    assert all(shape[0] == 1 for shape in copied)
