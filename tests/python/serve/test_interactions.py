# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Each interaction of the protocol against what a Session answers, without HTTP.

The tiny model's mask is the box that it is asked for, where the box begins and ends at even pixels of a plane whose longer
side is 32.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, Session
from medsam_engine.serve.nninteractive import interactions
from medsam_engine.serve.nninteractive.drawing import Drawing
from medsam_engine.serve.nninteractive.geometry import Region, plane_of, whole

SHAPE = (32, 28, 32)
PAIRS = [[8, 16], [4, 12], [6, 20]]


@pytest.fixture(scope="module")
def volume() -> NDArray[np.uint8]:
    values = np.random.default_rng(1).integers(0, 60, SHAPE).astype(np.uint8)
    values[8:16, 4:12, 6:20] += 150
    return values


@pytest.fixture
def new_session(tiny_engine: Engine, volume: NDArray[np.uint8]) -> Callable[[], Session]:
    return lambda: Session(tiny_engine, volume, encode_ahead=False)


@pytest.fixture
def drawing(new_session: Callable[[], Session]) -> Drawing:
    drawing = Drawing(new_session(), SHAPE, (1.0, 1.0, 1.0))
    drawing.propagates = False
    return drawing


class Client:
    """What a client does with the replies: it writes the new contents into its own mask."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing, self.mask = drawing, np.zeros(drawing.shape, np.bool_)

    def __call__(self, function: Callable[..., None], *arguments: object) -> Region | None:
        with self.drawing.interaction():
            function(self.drawing, *arguments)
        return self.take()

    def undo(self) -> bool:
        done = self.drawing.undo()
        self.take()
        return done

    def take(self) -> Region | None:
        region = self.drawing.change()
        if region is not None:
            new = self.drawing.shown[region.slices]
            changed = new != self.mask[region.slices]
            for axis in range(3):  # tight: something changed in each of its outer planes
                assert changed.take(0, axis).any()
                assert changed.take(-1, axis).any()
            self.mask[region.slices] = new
        np.testing.assert_array_equal(self.mask, self.drawing.object_in(whole(self.drawing.shape)))
        return region


@pytest.fixture
def client(drawing: Drawing) -> Client:
    return Client(drawing)


def thin(axis: int, index: int = 12) -> list[list[float]]:
    pairs: list[list[float]] = [[float(low), float(high)] for low, high in PAIRS]
    pairs[axis] = [index, index + 1]
    return pairs


# --- boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_box_is_half_open_on_every_axis(client: Client, axis: int) -> None:
    pairs = thin(axis)
    region = client(interactions.add_box, pairs, True)
    expected = np.zeros(SHAPE, np.bool_)
    expected[tuple(slice(int(low), int(high)) for low, high in pairs)] = True
    np.testing.assert_array_equal(client.mask, expected)
    assert region is not None
    assert region.pairs() == pairs


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_box_is_carried_as_a_session_carries_it(
    client: Client, new_session: Callable[[], Session], axis: int
) -> None:
    client.drawing.propagates = True
    client(interactions.add_box, thin(axis), True)
    box = {0: (6, 4, 19, 11), 1: (6, 8, 19, 15), 2: (4, 8, 11, 15)}[axis]
    session = new_session()
    session.add_box("a", box, slice=12, axis=axis)
    assert session.propagate("a", axis=axis) is not None
    np.testing.assert_array_equal(client.mask, session.mask("a"))


def test_two_boxes_on_two_slices_are_one_object(client: Client, new_session: Callable[[], Session]) -> None:
    client.drawing.propagates = True
    client(interactions.add_box, [[10, 11], [4, 12], [6, 20]], True)
    client(interactions.add_box, [[20, 21], [6, 14], [8, 22]], True)
    session = new_session()
    session.add_box("a", (6, 4, 19, 11), slice=10)
    session.propagate("a")
    session.add_box("a", (8, 6, 21, 13), slice=20)
    session.propagate("a")
    np.testing.assert_array_equal(client.mask, session.mask("a"))
    assert client.mask[10:21, 8, 12].all()


@pytest.mark.parametrize(
    "second", [[[12, 13], [4, 12], [22, 30]], [[20, 21], [16, 24], [22, 30]], [[12, 13], [8, 16], [10, 24]]]
)
def test_boxes_apart_or_twice_on_a_slice_add_to_the_object(client: Client, second: list[list[float]]) -> None:
    client(interactions.add_box, thin(0), True)
    first = client.mask.copy()
    client(interactions.add_box, second, True)
    drawn = np.zeros(SHAPE, np.bool_)
    drawn[tuple(slice(int(low), int(high)) for low, high in second)] = True
    np.testing.assert_array_equal(client.mask, first | drawn)


def test_boxes_along_two_axes_add_up(client: Client) -> None:
    client.drawing.propagates = True
    client(interactions.add_box, thin(0), True)
    axial = client.mask.copy()
    client(interactions.add_box, thin(2, 22), True)
    assert (client.mask & ~axial).any()
    assert not (axial & ~client.mask).any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slightly_thick_box_is_an_oblique_view_of_a_plane(client: Client, axis: int) -> None:
    pairs = thin(axis)
    pairs[axis] = [11, 14]
    client(interactions.add_box, pairs, True)
    assert np.flatnonzero(client.mask.any(axis=tuple(a for a in range(3) if a != axis))).tolist() == [12]


def test_a_box_in_the_volume_is_a_sessions(client: Client, new_session: Callable[[], Session]) -> None:
    client(interactions.add_box, PAIRS, True)
    session = new_session()
    session.add_box("a", (6, 4, 8, 19, 11, 15))
    np.testing.assert_array_equal(client.mask, session.mask("a"))
    assert client.mask.any()


def test_a_box_in_the_volume_out_of_time(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    """The clock is past the end after the first plane: what is left is the middle plane, carried as far as may be."""
    ticks = iter(range(0, 100_000, 12))
    drawing = Drawing(
        Session(tiny_engine, volume, encode_ahead=False), SHAPE, (1.0, 1.0, 1.0), seconds=20, clock=lambda: next(ticks)
    )
    client = Client(drawing)
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
def test_boxes_that_leave_nothing_to_do(client: Client, pairs: list[list[float]], positive: bool) -> None:
    assert client(interactions.add_box, pairs, positive) is None
    assert not client.mask.any()
    assert client.undo()  # the client has a marker for it


def test_a_box_over_the_edge_is_cut(client: Client) -> None:
    client(interactions.add_box, [[12, 13], [-7, 10], [24, 90]], True)
    expected = np.zeros(SHAPE, np.bool_)
    expected[12, :10, 24:] = True
    np.testing.assert_array_equal(client.mask, expected)


def test_a_picture(tiny_engine: Engine) -> None:
    drawing = Drawing(
        Session(tiny_engine, np.zeros((1, 24, 32), np.uint8), encode_ahead=False), (1, 24, 32), (1.0, 1.0, 1.0)
    )
    client = Client(drawing)
    client(interactions.add_box, [[0, 1], [4, 10], [6, 20]], True)
    assert client.mask[0, 4:10, 6:20].all()
    assert client.mask.sum() == 6 * 14
    client(interactions.add_point, [0, 20, 28], True)


# --- taking away ------------------------------------------------------------------------------------------------------


def test_a_negative_box_takes_away_what_the_model_finds_in_it(client: Client) -> None:
    client(interactions.add_box, thin(0), True)
    region = client(interactions.add_box, [[12, 13], [4, 8], [6, 10]], False)
    assert region is not None
    assert region.pairs() == [[12, 13], [4, 8], [6, 10]]
    assert not client.mask[12, 4:8, 6:10].any()
    assert client.mask.sum() == 8 * 14 - 16
    assert client.undo()
    assert client.mask.sum() == 8 * 14


def test_a_negative_box_in_the_volume(client: Client) -> None:
    client(interactions.add_box, PAIRS, True)
    before = client.mask.copy()
    client(interactions.add_box, [[10, 15], [5, 10], [8, 14]], False)
    removed = before & ~client.mask
    assert removed.any()
    assert not removed[:10].any()
    assert not removed[15:].any()


def test_a_negative_lasso_erases_its_voxels_alone(client: Client) -> None:
    client.drawing.propagates = True
    client(interactions.add_box, thin(0), True)
    before = client.mask.copy()
    ring = np.zeros((1, 8, 8), np.bool_)
    ring[0, 2:6, 2:6] = True
    client(interactions.add_lasso, ring, Region((12, 2, 4), (13, 10, 12)), False)
    expected = before.copy()
    expected[12, 4:8, 6:10] = False
    np.testing.assert_array_equal(client.mask, expected)


def test_what_was_erased_stays_so_until_it_is_drawn_on(client: Client) -> None:
    client.drawing.propagates = True
    client(interactions.add_box, thin(0), True)
    corner = Region((12, 4, 6), (13, 8, 10))
    client(interactions.add_lasso, np.ones((1, 4, 4), np.bool_), corner, False)
    client(interactions.add_box, [[14, 15], [4, 12], [6, 20]], True)  # carried over slice 12
    assert not client.mask[corner.slices].any()
    client(interactions.add_point, [12, 5, 7], True)  # a click on it
    assert client.mask[corner.slices].all()
    client(interactions.add_lasso, np.ones((1, 4, 4), np.bool_), corner, False)
    client(interactions.add_box, thin(0), True)  # a new box on the slice
    assert client.mask[corner.slices].all()


def test_negative_strokes_on_nothing_do_nothing(client: Client) -> None:
    assert client(interactions.add_point, [12, 8, 12], False) is None
    line = np.ones((1, 1, 5), np.bool_)
    assert client(interactions.add_scribble, line, Region((12, 8, 8), (13, 9, 13)), False) is None


# --- outlines and strokes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_lasso_stays_inside_on_every_axis(client: Client, axis: int) -> None:
    rows, columns = np.mgrid[:16, :16]
    disk = (rows - 7) ** 2 + (columns - 8) ** 2 < 49
    low = [8, 6, 7]
    low[axis] = 12
    high = [value + 16 for value in low]
    high[axis] = 13
    at = Region((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    client(interactions.add_lasso, np.expand_dims(disk, axis), at, True)
    drawn = np.zeros(SHAPE, np.bool_)
    drawn[at.slices] = np.expand_dims(disk, axis)
    assert client.mask.sum() > 0.7 * disk.sum()
    assert not (client.mask & ~drawn).any()


def test_two_outlines_at_once(client: Client) -> None:
    two = np.zeros((1, 28, 32), np.bool_)
    two[0, 3:12, 3:12] = two[0, 14:24, 18:29] = True
    client(interactions.add_lasso, two, Region((12, 0, 0), (13, 28, 32)), True)
    assert client.mask[12, 6, 6]
    assert client.mask[12, 19, 23]
    assert not (client.mask[12] & ~two[0]).any()


def test_an_outline_in_an_oblique_view_is_one_on_its_middle_slice(client: Client) -> None:
    drawn = np.zeros((3, 16, 16), np.bool_)
    for k in range(3):
        drawn[k, 2:14, 5 * k : 5 * k + 5] = True
    client(interactions.add_lasso, drawn, Region((11, 6, 6), (14, 22, 22)), True)
    assert np.flatnonzero(client.mask.any(axis=(1, 2))).tolist() == [12]
    assert client.mask[12, 8:20, 6:21].mean() > 0.7


def test_an_outline_through_many_slices(client: Client) -> None:
    client.drawing.propagates = True
    client(interactions.add_lasso, np.ones((8, 10, 12), np.bool_), Region((9, 6, 6), (17, 16, 18)), True)
    assert client.mask[9:17, 10, 12].all()


def test_empty_drawings_do_nothing(client: Client) -> None:
    for function in (interactions.add_lasso, interactions.add_scribble):
        for positive in (True, False):
            assert client(function, np.zeros((1, 9, 9), np.bool_), Region((3, 3, 3), (4, 12, 12)), positive) is None


def test_a_click_and_its_corrections_are_a_sessions(client: Client, new_session: Callable[[], Session]) -> None:
    session = new_session()
    client(interactions.add_point, [12, 8, 13], True)
    session.add_click("a", (13, 8), slice=12)
    np.testing.assert_array_equal(client.mask, session.mask("a"))
    assert client.mask[12, 8, 13]
    hit = np.argwhere(client.mask)[0]
    client(interactions.add_point, hit.tolist(), False)
    session.add_click("a", (int(hit[2]), int(hit[1])), False, slice=12)
    np.testing.assert_array_equal(client.mask, session.mask("a"))
    assert not client.mask[tuple(hit)]


def test_a_stroke_is_a_sessions(client: Client, new_session: Callable[[], Session]) -> None:
    client(interactions.add_scribble, np.ones((1, 1, 6), np.bool_), Region((12, 8, 10), (13, 9, 16)), True)
    session = new_session()
    session.add_scribble("a", [(x, 8) for x in range(10, 16)], slice=12)
    np.testing.assert_array_equal(client.mask, session.mask("a"))


def test_a_click_takes_the_volumes_own_planes(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    drawing = Drawing(Session(tiny_engine, volume, encode_ahead=False), SHAPE, (1.0, 1.0, 4.0))
    drawing.propagates = False
    client = Client(drawing)
    client(interactions.add_point, [12, 8, 13], True)
    assert np.flatnonzero(client.mask.any(axis=(0, 1))).tolist() == [13]


# --- masks to begin with, undo ----------------------------------------------------------------------------------------


def test_an_initial_mask_replaces_everything(client: Client) -> None:
    client(interactions.add_box, thin(0), True)
    client(interactions.add_lasso, np.ones((1, 4, 4), np.bool_), Region((12, 4, 6), (13, 8, 10)), False)
    seed = np.zeros(SHAPE, np.bool_)
    seed[9:15, 5:11, 7:18] = True
    client.drawing.begin_with(seed)
    client.mask[...] = seed  # which the client did before it asked
    assert client.take() is None
    assert not client.undo()
    client(interactions.refine)
    for k in range(9, 15):
        assert client.mask[k, 5:11, 7:18].all()
    assert client.undo()
    np.testing.assert_array_equal(client.mask, seed)


def test_planes_with_several_pieces_are_not_refined(client: Client) -> None:
    seed = np.zeros(SHAPE, np.bool_)
    seed[12, 3:6, 3:6] = seed[12, 20:25, 20:25] = True
    client.drawing.begin_with(seed)
    client.mask[...] = seed
    assert client(interactions.refine) is None


def test_undo_goes_back_through_everything(client: Client) -> None:
    client.drawing.propagates = True
    steps: list[tuple[Callable[..., None], tuple[object, ...]]] = [
        (interactions.add_box, (thin(0), True)),
        (interactions.add_point, ([14, 8, 12], False)),
        (interactions.add_box, ([[12, 13], [15, 25], [20, 30]], True)),
        (interactions.add_box, ([[99, 100], [0, 5], [0, 5]], True)),
        (interactions.add_lasso, (np.ones((1, 5, 5), np.bool_), Region((12, 5, 8), (13, 10, 13)), False)),
        (interactions.add_scribble, (np.ones((1, 1, 4), np.bool_), Region((12, 7, 9), (13, 8, 13)), True)),
        (interactions.add_box, (thin(1, 8), True)),
        (interactions.add_box, (PAIRS, False)),
    ]
    seen = [client.mask.copy()]
    for function, arguments in steps:
        client(function, *arguments)
        seen.append(client.mask.copy())
    for before in reversed(seen[:-1]):
        assert client.undo()
        np.testing.assert_array_equal(client.mask, before)
    assert not client.undo()
    assert not client.mask.any()
    assert client.drawing.parts == ()


def test_an_interaction_that_fails_leaves_nothing(client: Client) -> None:
    client(interactions.add_box, thin(0), True)
    before, parts = client.mask.copy(), client.drawing.parts

    def failing(drawing: Drawing) -> None:
        interactions.add_box(drawing, thin(1, 8), True)
        raise MemoryError

    with pytest.raises(MemoryError), client.drawing.interaction():
        failing(client.drawing)
    client.take()
    np.testing.assert_array_equal(client.mask, before)
    assert client.drawing.parts == parts


def test_undo_that_the_session_has_forgotten(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    """Never half an interaction."""
    drawing = Drawing(Session(tiny_engine, volume, encode_ahead=False, undo_bytes=0), SHAPE, (1.0, 1.0, 1.0))
    client = Client(drawing)
    client(interactions.add_box, thin(0), True)  # two steps, of which the session keeps one
    before = client.mask.copy()
    assert not client.undo()
    np.testing.assert_array_equal(client.mask, before)


def test_a_mask_that_the_client_has_emptied_is_sent_again(client: Client) -> None:
    client(interactions.add_box, thin(0), True)
    client.drawing.emptied_by_client()
    client.mask[...] = False
    assert client.take() is not None
    assert client.mask.sum() == 8 * 14


def test_random_drawing_never_raises_and_never_differs(drawing: Drawing) -> None:
    """What the client has is what is drawn, after anything in any order."""
    rng = np.random.default_rng(5)
    client = Client(drawing)
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


def test_planes_seen_are_planes_drawn(client: Client) -> None:
    client(interactions.add_box, thin(2), True)
    assert plane_of(client.mask, 2, 12)[8:16, 4:12].all()
