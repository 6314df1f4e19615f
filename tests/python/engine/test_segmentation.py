# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Engine.segment_objects and segment_volume_objects: the labels of segment, and the model's own estimate of each."""

import logging
import math
import pydoc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, SegmentedObject

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
BOXES = [[4, 6, 1, 40, 30, 4], [20, 10, 2, 60, 40, 5]]


@pytest.fixture(scope="module")
def tiny() -> Engine:
    return Engine(TINY, profile=None, cache_dir="none")


@pytest.fixture(scope="module")
def volume() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (7, 48, 64)).astype(np.uint8)


def test_of_an_image_each_box_has_the_estimate_of_its_prediction(engine: Engine, image: NDArray[np.uint8]) -> None:
    boxes = [[30.0, 20.0, 90.0, 70.0], [0.0, 0.0, 40.5, 20.0], [40.0, 30.0, 80.0, 60.0]]  # none has a window
    found = engine.segment_objects(image, boxes)
    np.testing.assert_array_equal(found.labels, engine.segment(image, boxes))
    predicted = engine.predict(engine.encode(image), box=boxes)
    assert [o.label for o in found.objects] == [1, 2, 3]
    # A batch of prompts and one of segment's boxes differ by rounding.
    np.testing.assert_allclose([o.iou for o in found.objects], predicted.iou_predictions[:, 0], atol=1e-3)
    for k, found_object in enumerate(found.objects):
        mask = predicted.mask(k)
        assert found_object.voxels == np.count_nonzero(mask)
        if found_object.voxels:
            y, x = np.nonzero(mask)
            assert found_object.box == (x.min(), y.min(), x.max(), y.max())
        else:
            assert found_object.box is None
    assert len({o.iou for o in found.objects}) == 3


def test_of_a_volume_the_estimate_is_the_mean_over_its_voxels(tiny: Engine, volume: NDArray[np.uint8]) -> None:
    found = tiny.segment_volume_objects(volume, BOXES)
    np.testing.assert_array_equal(found.labels, tiny.segment_volume(volume, BOXES))
    alone = tiny.segment_volume_objects(volume, BOXES[:1])
    areas = np.count_nonzero(alone.labels, axis=(1, 2))
    each = [tiny.segment_objects(part, [[4, 6, 40, 30]]).objects[0].iou for part in volume]
    assert alone.objects[0].iou == pytest.approx(np.average(each, weights=areas), abs=1e-5)
    assert alone.objects[0] == found.objects[0]  # before overlap
    z, y, x = np.nonzero(alone.labels)
    assert alone.objects[0].box == (x.min(), y.min(), z.min(), x.max(), y.max(), z.max())
    assert alone.objects[0].voxels == len(z)


def test_nothing_found_has_no_box_and_no_estimate() -> None:
    from medsam_engine.segmentation import segmentation

    empty = segmentation(np.zeros((2, 3, 4), np.uint16), [(0, 0, 0, 0, -1, -1, -1, math.nan)]).objects[0]
    assert (empty.label, empty.voxels, empty.box) == (1, 0, None)
    assert math.isnan(empty.iou)
    assert segmentation(np.zeros((2, 3), np.uint16), []).objects == ()


def test_no_boxes_are_no_objects(tiny: Engine, volume: NDArray[np.uint8]) -> None:
    assert tiny.segment_objects(volume[0], []).objects == ()
    assert tiny.segment_volume_objects(volume, []).objects == ()


def test_objects_are_values() -> None:
    assert SegmentedObject(1, 2, (0, 0, 1, 1), 0.5) == SegmentedObject(1, 2, (0, 0, 1, 1), 0.5)


def test_devices_are_spelled_in_any_case() -> None:
    assert Engine(TINY, profile=None, cache_dir="none", device="cpu").info.device == (
        Engine(TINY, profile=None, cache_dir="none").info.device
    )


def test_a_box_in_an_error_is_named_as_in_the_array_with_all_its_numbers(
    tiny: Engine, volume: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match=r"^boxes\[1\]: got \(1, 2, 3, 64.5, 5, 6\), outside"):
        tiny.segment_volume(volume, np.array([BOXES[0], [1, 2, 3, 64.5, 5, 6]]))
    with pytest.raises(ValueError, match=r"^boxes\[0\]: got \(1, 2, 3, 4, 5, 60\), outside the volume of 7 slices"):
        tiny.segment_volume(volume, [[1, 2, 3, 4, 5, 60]])
    with pytest.raises(ValueError, match=r"^boxes\[0\]: got \(1, 2, 640, 5\), outside"):
        tiny.segment(volume[0], [[1, 2, 640, 5]])


def test_help_says_array_like_and_not_what_it_stands_for() -> None:
    text = pydoc.plain(pydoc.render_doc(Engine))
    assert "ArrayLike" in text
    assert "_SupportsArray" not in text
    assert "_NestedSequence" not in text


def test_debug_messages_say_what_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64)).astype(np.uint8)
    with caplog.at_level(logging.DEBUG, "medsam_engine"):
        engine = Engine(TINY, profile=None, cache_dir=tmp_path, threads=1)
        engine.encode(pixels)
        engine.encode(pixels)
    loaded, first, second = (record.getMessage() for record in caplog.records)
    for word in (str(TINY), "tiny", "f32", engine.info.device, engine.info.backend, "threads 1", str(tmp_path)):
        assert word in loaded
    assert "64 x 48" in first
    assert "0 hits, 1 misses" in first
    assert "1 hits, 1 misses" in second
    caplog.clear()
    engine.encode(pixels)
    assert not caplog.records
