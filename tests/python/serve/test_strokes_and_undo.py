# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Outlines, strokes, clicks, initial masks and undo of the protocol against what a Session answers; without HTTP."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from drawing_client import PAIRS, SHAPE, DrawingClient, thin_box
from numpy.typing import NDArray

from medsam_engine import Engine, Session
from medsam_engine.serve.nninteractive import interactions
from medsam_engine.serve.nninteractive.drawing import Drawing
from medsam_engine.serve.nninteractive.geometry import Region, plane_of

# --- outlines and strokes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_lasso_stays_inside_on_every_axis(drawing_client: DrawingClient, axis: int) -> None:
    rows, columns = np.mgrid[:16, :16]
    disk = (rows - 7) ** 2 + (columns - 8) ** 2 < 49
    low = [8, 6, 7]
    low[axis] = 12
    high = [value + 16 for value in low]
    high[axis] = 13
    at = Region((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    drawing_client(interactions.add_lasso, np.expand_dims(disk, axis), at, True)
    drawn = np.zeros(SHAPE, np.bool_)
    drawn[at.slices] = np.expand_dims(disk, axis)
    assert drawing_client.mask.sum() > 0.7 * disk.sum()
    assert not (drawing_client.mask & ~drawn).any()


def test_two_outlines_at_once(drawing_client: DrawingClient) -> None:
    two = np.zeros((1, 28, 32), np.bool_)
    two[0, 3:12, 3:12] = two[0, 14:24, 18:29] = True
    drawing_client(interactions.add_lasso, two, Region((12, 0, 0), (13, 28, 32)), True)
    assert drawing_client.mask[12, 6, 6]
    assert drawing_client.mask[12, 19, 23]
    assert not (drawing_client.mask[12] & ~two[0]).any()


def test_an_outline_in_an_oblique_view_is_one_on_its_middle_slice(drawing_client: DrawingClient) -> None:
    drawn = np.zeros((3, 16, 16), np.bool_)
    for k in range(3):
        drawn[k, 2:14, 5 * k : 5 * k + 5] = True
    drawing_client(interactions.add_lasso, drawn, Region((11, 6, 6), (14, 22, 22)), True)
    assert np.flatnonzero(drawing_client.mask.any(axis=(1, 2))).tolist() == [12]
    assert drawing_client.mask[12, 8:20, 6:21].mean() > 0.7


def test_an_outline_through_many_slices(drawing_client: DrawingClient) -> None:
    drawing_client.drawing.propagates = True
    drawing_client(interactions.add_lasso, np.ones((8, 10, 12), np.bool_), Region((9, 6, 6), (17, 16, 18)), True)
    assert drawing_client.mask[9:17, 10, 12].all()


def test_empty_drawings_do_nothing(drawing_client: DrawingClient) -> None:
    for function in (interactions.add_lasso, interactions.add_scribble):
        for positive in (True, False):
            assert (
                drawing_client(function, np.zeros((1, 9, 9), np.bool_), Region((3, 3, 3), (4, 12, 12)), positive)
                is None
            )


def test_a_click_and_its_corrections_are_a_sessions(
    drawing_client: DrawingClient, new_session: Callable[[], Session]
) -> None:
    session = new_session()
    drawing_client(interactions.add_point, [12, 8, 13], True)
    session.add_click("a", (13, 8), slice=12)
    np.testing.assert_array_equal(drawing_client.mask, session.mask("a"))
    assert drawing_client.mask[12, 8, 13]
    hit = np.argwhere(drawing_client.mask)[0]
    drawing_client(interactions.add_point, hit.tolist(), False)
    session.add_click("a", (int(hit[2]), int(hit[1])), False, slice=12)
    np.testing.assert_array_equal(drawing_client.mask, session.mask("a"))
    assert not drawing_client.mask[tuple(hit)]


def test_a_stroke_is_a_sessions(drawing_client: DrawingClient, new_session: Callable[[], Session]) -> None:
    drawing_client(interactions.add_scribble, np.ones((1, 1, 6), np.bool_), Region((12, 8, 10), (13, 9, 16)), True)
    session = new_session()
    session.add_scribble("a", [(x, 8) for x in range(10, 16)], slice=12)
    np.testing.assert_array_equal(drawing_client.mask, session.mask("a"))


def test_a_click_takes_the_volumes_own_planes(tiny_engine: Engine, drawn_volume: NDArray[np.uint8]) -> None:
    drawing = Drawing(Session(tiny_engine, drawn_volume, encode_ahead=False), SHAPE, (1.0, 1.0, 4.0))
    drawing.propagates = False
    client = DrawingClient(drawing)
    client(interactions.add_point, [12, 8, 13], True)
    assert np.flatnonzero(client.mask.any(axis=(0, 1))).tolist() == [13]


# --- masks to begin with, undo ----------------------------------------------------------------------------------------


def test_an_initial_mask_replaces_everything(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, thin_box(0), True)
    drawing_client(interactions.add_lasso, np.ones((1, 4, 4), np.bool_), Region((12, 4, 6), (13, 8, 10)), False)
    seed = np.zeros(SHAPE, np.bool_)
    seed[9:15, 5:11, 7:18] = True
    drawing_client.drawing.begin_with(seed)
    drawing_client.mask[...] = seed  # which the drawing_client did before it asked
    assert drawing_client.take() is None
    assert not drawing_client.undo()
    drawing_client(interactions.refine)
    for k in range(9, 15):
        assert drawing_client.mask[k, 5:11, 7:18].all()
    assert drawing_client.undo()
    np.testing.assert_array_equal(drawing_client.mask, seed)


def test_planes_with_several_pieces_are_not_refined(drawing_client: DrawingClient) -> None:
    seed = np.zeros(SHAPE, np.bool_)
    seed[12, 3:6, 3:6] = seed[12, 20:25, 20:25] = True
    drawing_client.drawing.begin_with(seed)
    drawing_client.mask[...] = seed
    assert drawing_client(interactions.refine) is None


def test_undo_goes_back_through_everything(drawing_client: DrawingClient) -> None:
    drawing_client.drawing.propagates = True
    steps: list[tuple[Callable[..., None], tuple[object, ...]]] = [
        (interactions.add_box, (thin_box(0), True)),
        (interactions.add_point, ([14, 8, 12], False)),
        (interactions.add_box, ([[12, 13], [15, 25], [20, 30]], True)),
        (interactions.add_box, ([[99, 100], [0, 5], [0, 5]], True)),
        (interactions.add_lasso, (np.ones((1, 5, 5), np.bool_), Region((12, 5, 8), (13, 10, 13)), False)),
        (interactions.add_scribble, (np.ones((1, 1, 4), np.bool_), Region((12, 7, 9), (13, 8, 13)), True)),
        (interactions.add_box, (thin_box(1, 8), True)),
        (interactions.add_box, (PAIRS, False)),
    ]
    seen = [drawing_client.mask.copy()]
    for function, arguments in steps:
        drawing_client(function, *arguments)
        seen.append(drawing_client.mask.copy())
    for before in reversed(seen[:-1]):
        assert drawing_client.undo()
        np.testing.assert_array_equal(drawing_client.mask, before)
    assert not drawing_client.undo()
    assert not drawing_client.mask.any()
    assert drawing_client.drawing.parts == ()


def test_an_interaction_that_fails_leaves_nothing(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, thin_box(0), True)
    before, parts = drawing_client.mask.copy(), drawing_client.drawing.parts

    def failing(drawing: Drawing) -> None:
        interactions.add_box(drawing, thin_box(1, 8), True)
        raise MemoryError

    with pytest.raises(MemoryError), drawing_client.drawing.interaction():
        failing(drawing_client.drawing)
    drawing_client.take()
    np.testing.assert_array_equal(drawing_client.mask, before)
    assert drawing_client.drawing.parts == parts


def test_undo_that_the_session_has_forgotten(tiny_engine: Engine, drawn_volume: NDArray[np.uint8]) -> None:
    """Never half an interaction."""
    drawing = Drawing(Session(tiny_engine, drawn_volume, encode_ahead=False, undo_bytes=0), SHAPE, (1.0, 1.0, 1.0))
    client = DrawingClient(drawing)
    client(interactions.add_box, thin_box(0), True)  # two steps, of which the session keeps one
    before = client.mask.copy()
    assert not client.undo()
    np.testing.assert_array_equal(client.mask, before)


def test_a_mask_that_the_client_has_emptied_is_sent_again(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, thin_box(0), True)
    drawing_client.drawing.emptied_by_client()
    drawing_client.mask[...] = False
    assert drawing_client.take() is not None
    assert drawing_client.mask.sum() == 8 * 14


def test_random_drawing_never_raises_and_never_differs(drawing: Drawing) -> None:
    """What the client has is what is drawn, after anything in any order."""
    rng = np.random.default_rng(5)
    client = DrawingClient(drawing)
    for _ in range(120):
        drawing.propagates = bool(rng.integers(2))
        low = rng.integers(-4, 30, 3)
        sizes = rng.integers(1, 14, 3)
        if rng.random() < 0.7:
            sizes[rng.integers(3)] = 1
        positive = bool(rng.integers(2))
        kind = rng.integers(5)
        if kind == 0:
            client(interactions.add_box, [[a, a + n] for a, n in zip(low, sizes, strict=True)], positive)
        elif kind == 1:
            client(interactions.add_point, rng.uniform(-2, 34, 3).tolist(), positive)
        elif kind == 4:
            client.undo()
        else:
            at = Region(tuple(low.tolist()), tuple((low + sizes).tolist())).within(SHAPE)
            if at is not None:
                mask = rng.random(at.sizes) < rng.random()
                client(interactions.add_lasso if kind == 2 else interactions.add_scribble, mask, at, positive)


def test_planes_seen_are_planes_drawn(drawing_client: DrawingClient) -> None:
    drawing_client(interactions.add_box, thin_box(2), True)
    assert plane_of(drawing_client.mask, 2, 12)[8:16, 4:12].all()
