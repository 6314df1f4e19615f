# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Session: shapes, windows, prompts, undo, files and threads.

Which mask a click gives is for the tests of the core.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from session_volume import BOX, BOX_3D, DEPTH, HEIGHT, WIDTH

from medsam_engine import Cancelled, Engine, InvalidArgument, Session
from medsam_engine.windows import apply_window


@pytest.fixture(scope="module")
def volume() -> NDArray[np.uint8]:
    """A bright block inside BOX_3D."""
    values = np.random.default_rng(3).integers(0, 60, (DEPTH, HEIGHT, WIDTH)).astype(np.uint8)
    values[1:4, 5:14, 6:19] += 150
    return values


@pytest.fixture
def session(tiny_engine: Engine, volume: NDArray[np.uint8]) -> Session:
    return Session(tiny_engine, volume, [1.0, 1.0, 2.0])


def test_masks_of_an_image(engine: Engine, image: NDArray[np.uint8]) -> None:
    """A box's mask is Engine.predict's, for gray and RGB."""
    box = (30, 20, 90, 70)
    for pixels in (image, image[..., 0]):
        session = Session(engine, pixels)
        expected = engine.predict(engine.encode(pixels), box=box).mask(0)
        y, x = np.nonzero(expected)
        assert session.add_box("a", box) == (x.min(), y.min(), 0, x.max(), y.max(), 0)
        mask = session.mask("a")
        np.testing.assert_array_equal(mask, expected)
        mask[...] = False  # the caller's own
        np.testing.assert_array_equal(session.mask("a"), expected)
        labels = session.labels()
        assert labels.dtype == np.uint16
        assert labels.shape == pixels.shape[:2]
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_box_on_a_plane_of_any_axis(tiny_engine: Engine, volume: NDArray[np.uint8], axis: int) -> None:
    session = Session(tiny_engine, volume)
    plane = np.ascontiguousarray(np.moveaxis(volume, axis, 0)[2])
    box = [1, 1, plane.shape[1] - 2, plane.shape[0] - 2]
    changed = session.add_box("a", box, slice=2, axis=axis)
    mask = np.moveaxis(session.mask("a"), axis, 0)
    np.testing.assert_array_equal(mask[2], tiny_engine.predict(tiny_engine.encode(plane), box=box).mask(0))
    assert not np.delete(mask, 2, axis=0).any()
    z, y, x = np.nonzero(session.mask("a"))
    assert changed == (x.min(), y.min(), z.min(), x.max(), y.max(), z.max())


def test_a_box_of_a_volume_is_segment_volumes(session: Session, tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    steps: list[tuple[int, int]] = []
    assert session.add_box("a", BOX_3D, progress=lambda done, total: steps.append((done, total))) is not None
    np.testing.assert_array_equal(session.mask("a"), tiny_engine.segment_volume(volume, [BOX_3D]) == 1)
    assert steps
    assert steps[-1][0] == steps[-1][1]
    before = session.objects
    with pytest.raises(Cancelled):
        session.add_box("a", BOX_3D, cancelled=lambda: True)
    assert session.objects == before


def test_windows_are_those_of_apply_window(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    raw = volume.astype(np.int16) * 4 - 300
    cases: tuple[tuple[dict[str, Any], NDArray[np.generic]], ...] = (
        ({"modality": "CT"}, apply_window(raw, None, "CT")),
        ({"modality": "MR"}, apply_window(raw, "percentile")),
        ({"window": "lung"}, apply_window(raw, "lung")),
        ({"window": "none"}, raw),
        ({}, apply_window(raw, "full")),
    )
    for given, pixels in cases:
        session, expected = Session(tiny_engine, raw, **given), Session(tiny_engine, pixels, window="none")
        for each in (session, expected):
            each.add_box("a", BOX, slice=2)
        np.testing.assert_array_equal(session.mask("a"), expected.mask("a"))


def test_the_pixels_are_copied(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    given, kept = volume.copy(), Session(tiny_engine, volume, encode_ahead=False)
    session = Session(tiny_engine, given, encode_ahead=False)
    given[...] = 0
    for each in (session, kept):
        each.add_box("a", BOX, slice=2)
    np.testing.assert_array_equal(session.mask("a"), kept.mask("a"))


def test_every_prompt_changes_its_plane_and_is_counted(session: Session) -> None:
    assert session.add_box("box", BOX, 2) is not None
    session.add_click("box", [5, 5], True, 2)
    session.add_click("box", [1, 1], False, 2)
    session.add_scribble("box", [[6, 6], [10, 8]], slice=2)
    session.add_lasso("lasso", [[4, 3], [20, 3], [20, 15]], 2)
    session.add_line("line", [6, 5, 18, 13], 2)
    session.add_line("pair", [[6, 5], [18, 13]], 2)
    assert [(found.name, found.prompts) for found in session.objects] == [
        ("box", 4), ("lasso", 1), ("line", 1), ("pair", 1)]  # fmt: skip
    np.testing.assert_array_equal(session.mask("line"), session.mask("pair"))
    for found in session.objects:
        mask = session.mask(found.name)
        assert found.voxels == np.count_nonzero(mask) == np.count_nonzero(mask[2])
    lasso = session.mask("lasso")[2]
    assert not lasso[10:, :8].any()  # outside of the outline


def test_masks_are_taken_as_they_are(session: Session, tiny_engine: Engine) -> None:
    given = np.zeros((DEPTH, HEIGHT, WIDTH), np.uint8)
    given[1:3, 4:6, 7:9] = 9
    assert session.add_mask("a", given) == (7, 4, 1, 8, 5, 2)
    np.testing.assert_array_equal(session.mask("a"), given > 0)
    strided = np.zeros((DEPTH, HEIGHT, 2 * WIDTH), np.bool_)[..., ::2]
    strided[0, 0, 1] = True
    assert session.add_mask("a", strided) == (1, 0, 0, 8, 5, 2)  # what went, too
    np.testing.assert_array_equal(session.mask("a"), strided)
    flat = Session(tiny_engine, np.zeros((6, 7), np.uint8))
    flat.add_mask("a", np.eye(6, 7, dtype=bool))
    np.testing.assert_array_equal(flat.mask("a"), np.eye(6, 7, dtype=bool))


def test_labels_in_the_objects_order_and_locked_first(session: Session) -> None:
    whole = np.ones((DEPTH, HEIGHT, WIDTH), np.bool_)
    part = whole.copy()
    part[1:] = False
    session.add_mask("part", part)
    session.lock("part")
    assert session.objects[0].locked
    session.add_mask("whole", whole)
    labels = session.labels()
    assert labels.dtype == np.uint16
    assert labels.shape == whole.shape
    np.testing.assert_array_equal(labels, np.where(part, 1, 2))
    assert not session.mask("whole")[0].any()  # a locked object keeps others off
    with pytest.raises(InvalidArgument, match="locked"):
        session.add_box("part", BOX, 1)
    session.lock("part", False)
    session.add_box("part", BOX, 1)


def test_undo_and_redo(session: Session) -> None:
    states = [dict[str, Any]()]
    calls: list[Callable[[], object]] = [
        lambda: session.add_box("a", BOX, 2),
        lambda: session.add_click("a", [9, 9], True, 2),
        lambda: session.add_mask("b", np.ones((DEPTH, HEIGHT, WIDTH), np.bool_)),
        lambda: session.propagate("a"),
        lambda: session.remove("b"),
        session.reset,
    ]
    for call in calls:
        call()
        states.append({found.name: session.mask(found.name) for found in session.objects})
    assert (session.undo_steps, session.redo_steps) == (6, 0)

    def check(expected: dict[str, Any]) -> None:
        assert [found.name for found in session.objects] == list(expected)
        for name, mask in expected.items():
            np.testing.assert_array_equal(session.mask(name), mask)

    for state in reversed(states[:-1]):
        session.undo()
        check(state)
    assert (session.undo(), session.undo_steps, session.redo_steps) == (None, 0, 6)
    for state in states[1:]:
        session.redo()
        check(state)
    assert session.redo() is None
    session.undo()
    session.add_mask("c", np.ones((DEPTH, HEIGHT, WIDTH), np.bool_))
    assert session.redo_steps == 0


def test_undo_is_bounded(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    session = Session(tiny_engine, volume, undo_bytes=0)
    for k in range(4):
        session.add_mask("a", volume > 10 * k)
    assert session.undo_steps == 1  # the last step is always kept


def test_the_same_calls_give_the_same_masks(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    def drawn(**options: Any) -> NDArray[np.generic]:
        session = Session(tiny_engine, volume, [1.0, 1.0, 2.0], **options)
        session.add_click("a", [10, 9], slice=2)
        assert session.mask("a")[2].any()
        session.add_click("a", [2, 2], False, 2)
        session.propagate("a")
        session.add_box("b", BOX_3D)
        return session.labels()

    first = drawn()
    np.testing.assert_array_equal(drawn(encode_ahead=False), first)
    np.testing.assert_array_equal(drawn(embedding_bytes=0), first)


def test_propagation_stays_in_its_range(session: Session) -> None:
    session.add_box("a", BOX, 2)
    key = session.mask("a")[2]
    steps: list[tuple[int, int]] = []
    session.propagate("a", first=2, last=3, progress=lambda done, total: steps.append((done, total)))
    mask = session.mask("a")
    np.testing.assert_array_equal(mask[2], key)
    assert not mask[[0, 1, 4]].any()
    assert steps
    session.propagate("a", direction="down", distance=2.0)
    assert not session.mask("a")[0].any()  # slices are 2 mm apart
    assert session.mask("a")[1].any()
    before = session.mask("a")
    with pytest.raises(Cancelled):
        session.propagate("a", cancelled=lambda: True)

    def fails(_: int, __: int) -> None:
        raise KeyError("the caller's own")

    with pytest.raises(KeyError, match="the caller's own"):
        session.propagate("a", progress=fails)
    np.testing.assert_array_equal(session.mask("a"), before)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_of_a_propagation_as_they_are_reached(session: Session, axis: int) -> None:
    box = [BOX_3D[k + end] for end in (0, 3) for k in range(3) if k != 2 - axis]
    session.add_box("a", box, BOX_3D[2 - axis] + 1, axis)
    session.propagate("a", axis=axis)
    undivided = session.mask("a")
    session.undo()
    told: dict[int, NDArray[np.bool_]] = {}
    session.propagate("a", axis=axis, reached=told.__setitem__)
    np.testing.assert_array_equal(session.mask("a"), undivided)
    assert told
    for index, mask in told.items():
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, undivided.take(index, axis))
    session.undo()

    def enough(index: int, mask: NDArray[np.bool_]) -> bool:
        told[index] = mask
        return False

    told.clear()
    before = session.mask("a")
    session.propagate("a", axis=axis, reached=enough)
    [(index, mask)] = told.items()
    found = session.mask("a")
    np.testing.assert_array_equal(found.take(index, axis), mask)
    np.testing.assert_array_equal(np.delete(found, index, axis), np.delete(before, index, axis))

    def fails(_: int, __: NDArray[np.bool_]) -> None:
        raise KeyError("the caller's own")

    with pytest.raises(KeyError, match="the caller's own"):
        session.propagate("a", axis=axis, reached=fails)
    np.testing.assert_array_equal(session.mask("a"), found)


def test_saved_and_loaded(session: Session, tiny_engine: Engine, volume: NDArray[np.uint8], tmp_path: Path) -> None:
    session.add_box("a", BOX, 2)
    session.propagate("a")
    session.add_mask("b\u00e4", volume > 100)
    session.lock("b\u00e4")
    path = tmp_path / "work.session"
    session.save(path)
    other = Session(tiny_engine, volume, [1.0, 1.0, 2.0])
    assert other.load(str(path)) is not None
    assert other.objects == session.objects
    np.testing.assert_array_equal(other.labels(), session.labels())
    assert other.undo_steps == 1
    for image, spacing in ((volume, [1.0, 1.0, 3.0]), (volume ^ 1, [1.0, 1.0, 2.0])):
        stranger = Session(tiny_engine, image, spacing)
        with pytest.raises(InvalidArgument, match="another image"):
            stranger.load(path)
        assert stranger.objects == []
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-1])
    for name in ("cut", "missing"):
        with pytest.raises(InvalidArgument):
            other.load(tmp_path / name)
    with pytest.raises(InvalidArgument):
        session.save(tmp_path / "no" / "such" / "folder")


def test_threads_wait_for_one_another(session: Session, tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    def draw(k: int) -> None:
        name = f"object {k}"
        session.add_box(name, [k, k, 20 + k, 15], slice=k % DEPTH)
        session.mask(name)
        session.labels()
        assert session.encoding.total in (DEPTH, HEIGHT, WIDTH)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(draw, range(8)))
    assert sorted(found.name for found in session.objects) == [f"object {k}" for k in range(8)]
    alone = Session(tiny_engine, volume, [1.0, 1.0, 2.0])
    for k in range(8):
        alone.add_box("a", [k, k, 20 + k, 15], slice=k % DEPTH)
        np.testing.assert_array_equal(session.mask(f"object {k}")[k % DEPTH], alone.mask("a")[k % DEPTH])


def test_no_pickles_and_no_copies(session: Session) -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="save"):
            attempt(session)
