# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The windows of small boxes (docs/profiles.md, "zoom") by a second implementation: rule, crops and mean, in NumPy."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, ModelError, load_embedding, save_embedding

Window = tuple[int, int, int, int]
SIDE, LEAST, MOST, MARGIN, OF_IMAGE, WINDOWS, PER_WINDOW, LIMIT = 3, 2.25, 12, 0.5, 0.75, 4, 24, 8
HEIGHT, WIDTH = 180, 240


def _span(low: float, high: float, length: float, size: int) -> tuple[int, int]:
    taken = min(int(np.floor(length + 0.5)), size)
    first = min(max(int(np.floor((low + high + 1) / 2 - taken / 2 + 0.5)), 0), size - taken)
    return first, first + taken


def _one_pass(boxes: NDArray[np.float64], least: float, most: int) -> tuple[dict[Window, list[int]], bool]:
    found: dict[Window, list[int]] = {}
    enough = True
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) + 1
    for i in sorted(range(len(boxes)), key=lambda i: (-sides[i], *boxes[i][[1, 0, 3, 2]], i)):
        n, (x0, y0, x1, y1) = sides[i], boxes[i]
        if max(SIDE * n, least) > OF_IMAGE * max(HEIGHT, WIDTH):
            continue
        fitting = []
        for window in found:
            side = max(window[2] - window[0], window[3] - window[1])
            fits = (
                LEAST * n <= side <= max(MOST * n, np.ceil(least))
                and (x0 - MARGIN * n >= window[0] or window[0] == 0)
                and (y0 - MARGIN * n >= window[1] or window[1] == 0)
                and (x1 + 1 + MARGIN * n <= window[2] or window[2] == WIDTH)
                and (y1 + 1 + MARGIN * n <= window[3] or window[3] == HEIGHT)
            )
            if fits:
                fitting.append((side, window))
        if fitting:
            found[min(fitting, key=lambda f: f[0])[1]].append(i)
        elif len(found) < most:
            side = max(SIDE * n, least)
            (left, right), (top, bottom) = _span(x0, x1, side, WIDTH), _span(y0, y1, side, HEIGHT)
            found.setdefault((left, top, right, bottom), []).append(i)
        else:
            enough = False
    return found, enough


def windows_of(boxes: NDArray[np.float64]) -> dict[Window, list[int]]:
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) + 1
    most = WINDOWS + int((SIDE * sides <= OF_IMAGE * max(HEIGHT, WIDTH)).sum()) // PER_WINDOW
    least, largest = 0.0, OF_IMAGE * max(HEIGHT, WIDTH)
    while True:
        found, enough = _one_pass(boxes, least, most)
        if enough or least >= largest:
            return found
        least = min(largest, max(1.25 * least, max(HEIGHT, WIDTH) / 32))


def _upsampled(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.float64]:
    """Of the logits (256, 256) of an image of that size: the part that shows it, linear between the centers."""
    rows, columns = (int(side * 256 / max(height, width) + 0.5) for side in (height, width))

    def weights(size: int, low: int) -> NDArray[np.float64]:
        at = np.clip((np.arange(size) + 0.5) * low / size - 0.5, 0, low - 1)
        return np.asarray(np.maximum(0, 1 - np.abs(at[:, np.newaxis] - np.arange(low))))

    part = logits[:rows, :columns].astype(np.float64)
    return np.asarray(weights(height, rows) @ part @ weights(width, columns).T)


def _logits(engine: Engine, pixels: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.float64]:
    prediction = engine.predict(engine.encode(np.ascontiguousarray(pixels)), box=box)
    return _upsampled(prediction.low_res_logits[0, 0], *pixels.shape[:2])


@pytest.fixture(scope="module")
def cached_engine(bundle: Path) -> Engine:
    return Engine(bundle, profile="clinical")


@pytest.fixture(scope="module")
def cells() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Bright ellipses on noise, (180, 240, 3) uint8, and their boxes."""
    random = np.random.default_rng(11)
    pixels = random.normal(60, 8, (HEIGHT, WIDTH, 3))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    boxes = []
    for _ in range(60):
        a, b = random.integers(3, 12, 2)
        cx, cy = random.integers(a, WIDTH - a), random.integers(b, HEIGHT - b)
        pixels[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1] += 70
        boxes.append([cx - a, cy - b, cx + a, cy + b])
    return pixels.clip(0, 255).astype(np.uint8), np.array(boxes, np.float64)


def test_masks_are_those_of_the_rule(
    cached_engine: Engine, cells: tuple[NDArray[np.uint8], NDArray[np.float64]]
) -> None:
    pixels, boxes = cells
    windows = windows_of(boxes)
    assert 2 <= len(windows) <= 6
    assert sum(map(len, windows.values())) == len(boxes)
    expected = np.zeros((HEIGHT, WIDTH), np.uint16)
    unsure = np.zeros((HEIGHT, WIDTH), bool)
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    window_of = {i: window for window, members in windows.items() for i in members}
    for i in sorted(range(len(boxes)), key=lambda i: -areas[i]):
        x0, y0, x1, y1 = window_of[i]
        total = _logits(cached_engine, pixels, boxes[i])
        part = _logits(cached_engine, pixels[y0:y1, x0:x1], boxes[i] - [x0, y0, x0, y0])
        inside = (slice(y0, y1), slice(x0, x1))
        total[inside] = total[inside].clip(-LIMIT, LIMIT) + part.clip(-LIMIT, LIMIT)
        expected[total > 0] = i + 1
        unsure |= np.abs(total) < 1e-3
    labels = cached_engine.segment(pixels, boxes)
    assert unsure.mean() < 0.01
    np.testing.assert_array_equal(labels[~unsure], expected[~unsure])


def test_image_embedding_file_and_view_give_one_answer(
    cached_engine: Engine, cells: tuple[NDArray[np.uint8], NDArray[np.float64]], tmp_path: Path
) -> None:
    pixels, boxes = cells
    expected = cached_engine.segment(pixels, boxes)
    embedding = cached_engine.encode(pixels)
    save_embedding(embedding, tmp_path / "cells.embedding")
    for image in (embedding, load_embedding(tmp_path / "cells.embedding"), np.asfortranarray(pixels)):
        np.testing.assert_array_equal(cached_engine.segment(image, boxes), expected)


def test_an_embedding_of_another_profile_is_refused_for_small_boxes(
    bundle: Path, cached_engine: Engine, cells: tuple[NDArray[np.uint8], NDArray[np.float64]]
) -> None:
    pixels, boxes = cells
    bare = Engine(bundle, profile=None).encode(pixels)
    assert cached_engine.segment(bare, [[10, 10, 200, 150]]).any()
    with pytest.raises(ModelError, match=r"without its image's pixels.*boxes\[0\].*encode the image again"):
        cached_engine.segment(bare, boxes[:1])
