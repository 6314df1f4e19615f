# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Engine.segment_volume from Python: layouts, callbacks, errors. What propagates: tests/cpp/volume/test_volume.cpp."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Cancelled, Engine, InvalidArgument, profile_names

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
Layout = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
BOXES = [[4, 6, 1, 40, 30, 4], [20, 10, 2, 60, 40, 5]]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(TINY, profile=None, cache_dir="none")


@pytest.fixture(scope="module")
def volume() -> NDArray[np.uint8]:
    array = np.random.default_rng(0).integers(0, 255, (7, 48, 64)).astype(np.uint8)
    array.setflags(write=False)
    return array


@pytest.fixture(scope="module")
def labels(engine: Engine, volume: NDArray[np.uint8]) -> NDArray[np.generic]:
    return engine.segment_volume(volume, BOXES)


def test_labels_each_box_in_its_slices(labels: NDArray[np.generic]) -> None:
    assert labels.shape == (7, 48, 64)
    assert labels.dtype == np.uint16
    assert labels.flags.owndata
    assert labels.flags.writeable
    assert sorted(np.unique(np.nonzero(labels == 1)[0])) == [1, 2, 3, 4]
    assert sorted(np.unique(np.nonzero(labels == 2)[0])) == [2, 3, 4, 5]
    assert labels[3, 20, 30] == 2, "the later box wins"


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda v: np.repeat(v, 2, axis=2)[:, :, ::2],
        lambda v: np.repeat(v, 3, axis=1)[:, ::3],
        lambda v: np.repeat(v, 2, axis=0)[::2],
        lambda v: np.ascontiguousarray(v[::-1])[::-1],
        lambda v: np.ascontiguousarray(v[:, ::-1])[:, ::-1],
        lambda v: np.ascontiguousarray(np.moveaxis(v, 0, -1)).transpose(2, 0, 1),
        lambda v: v[..., None],
    ],
    ids=["fortran", "columns", "rows", "slices", "reversed", "flipped", "slices-last", "one-channel"],
)
def test_takes_any_layout(
    engine: Engine, volume: NDArray[np.uint8], labels: NDArray[np.generic], layout: Layout
) -> None:
    np.testing.assert_array_equal(engine.segment_volume(layout(volume), BOXES), labels)


@pytest.mark.parametrize("profile", profile_names())
def test_slices_that_no_box_reaches_have_no_part(engine: Engine, volume: NDArray[np.uint8], profile: str) -> None:
    for boxes, reached in (
        ([[4, 6, 1, 40, 30, 2], [20, 10, 2, 60, 40, 3]], slice(1, 4)),
        ([[4, 6, 5, 40, 30, 7]], slice(5, 7)),  # 7 is the depth, which the engine takes for the last slice
        ([[4, 6, 3, 40, 30, 3]], slice(3, 4)),
    ):
        alone = np.zeros_like(volume)
        alone[reached] = volume[reached]
        expected = engine.segment_volume(volume, boxes, profile)
        np.testing.assert_array_equal(engine.segment_volume(alone, boxes, profile), expected)
        expected[reached] = 0
        assert not expected.any()


def test_takes_every_dtype_and_byte_order(
    engine: Engine, volume: NDArray[np.uint8], labels: NDArray[np.generic]
) -> None:
    for dtype in ("u2", "i2", ">u2", ">i2"):
        got = engine.segment_volume(volume.astype(dtype), BOXES)
        assert (got != labels).mean() < 0.001, dtype  # the resized image is rounded to its own type


def test_color(engine: Engine, volume: NDArray[np.uint8], labels: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(engine.segment_volume(np.stack([volume] * 3, -1), BOXES), labels)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 8, 8)), "dtype float64"),
        (np.zeros((4, 8, 8), bool), "dtype bool"),
        (np.zeros((8, 8), np.uint8), "shape"),
        (np.zeros((4, 8, 8, 2), np.uint8), "shape"),
        (np.zeros((0, 8, 8), np.uint8), "empty"),
        ([[[1]]], "list"),
        (np.ma.masked_array(np.zeros((4, 8, 8), np.uint8)), "masked"),
    ],
)
def test_refuses_what_is_no_volume(engine: Engine, array: object, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        engine.segment_volume(array, BOXES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 0, 9, 9, 9],
        [0, 0, 3, 9, 9, 2],
        [0, 0, 0.5, 9, 9, 2],
        [0, 0, np.nan, 9, 9, 2],
        [0, 0, 0, 99, 9, 2],
        [0, 0, 9, 9],
    ],
)
def test_refuses_what_is_no_box(engine: Engine, volume: NDArray[np.uint8], box: list[float]) -> None:
    with pytest.raises(InvalidArgument):
        engine.segment_volume(volume, [box])


def test_no_boxes_and_one_box(engine: Engine, volume: NDArray[np.uint8], labels: NDArray[np.generic]) -> None:
    assert not engine.segment_volume(volume, []).any()
    np.testing.assert_array_equal(engine.segment_volume(volume, BOXES[1]) > 0, labels == 2)


def test_progress_counts_every_step(engine: Engine, volume: NDArray[np.uint8]) -> None:
    seen: list[tuple[int, int]] = []
    engine.segment_volume(volume, BOXES, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total in seen} == {len(seen)}


def test_cancel_and_what_a_callback_raises(engine: Engine, volume: NDArray[np.uint8]) -> None:
    with pytest.raises(Cancelled):
        engine.segment_volume(volume, BOXES, cancelled=lambda: True)
    with pytest.raises(ZeroDivisionError):
        engine.segment_volume(volume, BOXES, progress=lambda done, total: (done - total) // 0)

    def interrupt() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.segment_volume(volume, BOXES, cancelled=interrupt)


def test_the_earlier_name_of_cancelled(engine: Engine, volume: NDArray[np.uint8]) -> None:
    with pytest.warns(DeprecationWarning, match="cancelled"), pytest.raises(Cancelled):
        engine.segment_volume(volume, BOXES, cancel=lambda: True)
    with pytest.raises(TypeError, match="cancelled and cancel"):
        engine.segment_volume(volume, BOXES, cancelled=lambda: False, cancel=lambda: True)
    with pytest.raises(Cancelled):
        engine.segment_volume(volume, BOXES, None, None, lambda: True)


def test_three_planes_need_a_spacing_and_are_off_by_default(engine: Engine) -> None:
    cube = np.random.default_rng(3).integers(0, 255, (20, 24, 28)).astype(np.uint8)
    box = [[6, 4, 3, 22, 19, 15]]
    slices = engine.segment_volume(cube, box, "clinical")
    assert (slices == engine.segment_volume(cube, box, "clinical", planes="slices", spacing=[1, 1, 9])).all()
    found = engine.segment_volume_objects(cube, box, profile="clinical", planes="three", spacing=(0.9, 0.9, 1.2))
    assert (found.labels == engine.segment_volume(cube, box, "clinical", planes="three", spacing=[0.9, 0.9, 1.2])).all()
    assert 0 < found.objects[0].voxels == (found.labels == 1).sum()
    assert not (found.labels == slices).all()
    inside = found.labels[3:16, 4:20, 6:23]
    assert inside.sum() == found.labels.sum()
    for spacing, message in (
        (None, "without the spacing"),
        ([1, 1, 1.6], r"1 x 1 x 1\.6 mm"),
        ([1, 1], "got 2 numbers"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            engine.segment_volume(cube, box, "clinical", planes="three", spacing=spacing)
    with pytest.raises(InvalidArgument, match="planes: got 'both'"):
        engine.segment_volume(cube, box, planes="both")
    with pytest.raises(InvalidArgument, match='profile "tiny"'):
        engine.segment_volume(cube, box, planes="three", spacing=[1, 1, 1])


def test_a_profile_for_one_call(engine: Engine, volume: NDArray[np.uint8]) -> None:
    open_range = engine.segment_volume(volume, BOXES, profile="swin_litemedsam")
    assert sorted(np.unique(np.nonzero(open_range == 1)[0])) == [2, 3]
    with pytest.raises(InvalidArgument, match="clinical"):
        engine.segment_volume(volume, BOXES, profile="nope")
