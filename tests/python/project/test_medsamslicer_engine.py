# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/medsamslicer_engine.py called as MedSAMSlicer calls its engines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument, Session
from medsam_engine.windows import apply_window

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "examples"))
from medsamslicer_engine import MedSAMSlicerEngine

TINY = ROOT / "tests" / "data" / "tiny_bundle"


class Interface:
    """As the module's own: every attribute is the engine's."""

    def __init__(self) -> None:
        object.__setattr__(self, "engine", MedSAMSlicerEngine())

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "engine"), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.engine, name, value)


@pytest.fixture
def volume() -> NDArray[np.int16]:
    values = np.random.default_rng(3).integers(-900, -800, (7, 24, 32)).astype(np.int16)
    values[1:5, 5:14, 6:19] += 900
    return values


@pytest.fixture
def backend() -> Any:
    made = Interface()
    made.MedSAM_CKPT_PATH = str(TINY / "manifest.json")
    made.speed_level = 2
    assert made.get_progress() == {"layers": 100, "generated_embeds": 0}
    made.load_model()
    return made


def test_a_volume_as_the_module_asks_for_it(backend: Any, volume: NDArray[np.int16]) -> None:
    progress: list[dict[str, int]] = []
    backend.set_image(volume, -160, 240, -1, -1, recurrent_func=lambda: progress.append(backend.get_progress()))
    assert progress == [{"layers": 7, "generated_embeds": number} for number in range(7)]
    assert backend.get_progress() == {"layers": 7, "generated_embeds": 7}
    assert backend.embeddings == list(range(7))
    encoded = backend._engine.cache_stats().misses
    found = backend.infer(2, [4, 3, 20, 15], [0, 4])  # with slice 0, which the module's own engines never reach
    assert sorted(found) == [0, 1, 2, 3, 4]
    expected = Engine(TINY, cache_dir="none").segment_volume(apply_window(volume, "full"), [(4, 3, 0, 20, 15, 4)])
    assert expected.any(axis=(1, 2)).tolist() == [True] * 5 + [False] * 2
    result = np.zeros(volume.shape)
    for frame in list(found.keys()):
        result[frame, :, :] = found[frame]
    np.testing.assert_array_equal(result, expected)
    assert backend._engine.cache_stats().misses == encoded  # infer() has found every slice


def test_a_range_alone_is_encoded(backend: Any, volume: NDArray[np.int16]) -> None:
    backend.set_image(volume, -160, 240, 2, 4)
    assert backend.embeddings == [None, None, 2, 3, 4, None, None]
    engine, pixels = Engine(TINY, cache_dir="none"), apply_window(volume, "full")
    for found, box in (
        (backend.infer(3, [-4, 3, 99, 15], [2, 4]), (0, 3, 2, 31, 15, 4)),  # cut to the volume
        (backend.infer(5, [4, 3, 20, 15], [4, 20]), (4, 3, 4, 20, 15, 6)),
    ):
        expected = engine.segment_volume(pixels, [box]) == 1
        assert sorted(found) == list(range(box[2], box[5] + 1))
        assert expected.any()
        for number, mask in found.items():
            np.testing.assert_array_equal(mask, expected[number])


@pytest.mark.parametrize(("number", "zrange"), [(1, [0, 4]), (4, [0, 4]), (2, [1, 6]), (3, [-4, 9])])
def test_the_box_is_that_of_its_slice(backend: Any, volume: NDArray[np.int16], number: int, zrange: list[int]) -> None:
    """Not of the middle of the range, where another slice was drawn on."""
    backend.set_image(volume, -160, 240, -1, -1)
    found = backend.infer(number, [4, 3, 20, 15], zrange)
    first, last = max(zrange[0], 0), min(zrange[1], 6)
    assert sorted(found) == list(range(first, last + 1))
    engine, pixels = Engine(TINY, cache_dir="none"), apply_window(volume, "full")
    if number == (first + last) // 2:
        expected = engine.segment_volume(pixels, [(4, 3, first, 20, 15, last)]) == 1
    else:
        session = Session(engine, pixels)
        session.add_box("a", (4, 3, 20, 15), slice=number)
        np.testing.assert_array_equal(found[number], session.mask("a")[number])
        session.propagate("a", first=first, last=last)
        expected = session.mask("a")
    assert expected[number].any()
    for each, mask in found.items():
        np.testing.assert_array_equal(mask, expected[each])


@pytest.mark.parametrize(
    ("box", "zrange", "message"),
    [
        ([32, 3, 40, 15], [0, 4], "box along x"),
        ([-9, 3, -1, 15], [0, 4], "box along x"),
        ([4, 24, 20, 30], [0, 4], "box along y"),
        ([20, 3, 4, 15], [0, 4], "got 20 to 4"),
        ([4, 3, 20, 15], [7, 9], "zrange"),
    ],
)
def test_a_box_outside_is_refused(
    backend: Any, volume: NDArray[np.int16], box: list[int], zrange: list[int], message: str
) -> None:
    backend.set_image(volume, -160, 240, -1, -1)
    with pytest.raises(InvalidArgument, match=message):
        backend.infer(2, box, zrange)


def test_one_rgb_image(backend: Any) -> None:
    colors = np.random.default_rng(1).integers(0, 255, (1, 24, 32, 3)).astype(np.uint8)
    backend.set_image(colors, -160, 240, -1, -1)
    found = backend.infer(0, [4, 3, 20, 15], [0, 0])
    np.testing.assert_array_equal(found[0], Engine(TINY, cache_dir="none").segment(colors[0], [(4, 3, 20, 15)]) == 1)


def test_calls_in_another_order(volume: NDArray[np.int16], backend: Any) -> None:
    engine = MedSAMSlicerEngine()
    with pytest.raises(InvalidArgument, match="load_model"):
        engine.set_image(volume, -160, 240, -1, -1)
    with pytest.raises(InvalidArgument, match="set_image"):
        MedSAMSlicerEngine().infer(0, [1, 1, 2, 2], [0, 1])
    with pytest.raises(InvalidArgument, match="one RGB image"):
        backend.set_image(np.zeros((2, 8, 9, 3), np.uint8), 0, 1, -1, -1)
    backend.set_image(volume, -160, 240, -1, -1)
    with pytest.raises(InvalidArgument, match="slice_idx"):
        backend.infer(6, [1, 1, 9, 9], [0, 4])
