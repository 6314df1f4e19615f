# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/medsamslicer_engine.py called as MedSAMSlicer calls its engines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument
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
    assert sorted(backend.infer(3, [-4, 3, 99, 15], [2, 4])) == [2, 3, 4]
    assert sorted(backend.infer(5, [4, 3, 20, 15], [4, 20])) == [4, 5, 6]


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
