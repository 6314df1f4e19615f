# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Contact sheets: the right slices, in order, outlined, in proportion."""

import numpy as np
import pytest

from medsam_engine import InvalidArgument
from medsam_engine.show.preview import chosen_slices, contact_sheet

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")


def test_slices_spread_over_the_labels() -> None:
    labels = np.zeros((100, 4, 4), np.uint16)
    labels[10:51, 1, 1] = 1
    assert chosen_slices(labels, 5) == [10, 20, 30, 40, 50]
    assert chosen_slices(labels[:13], 20) == [10, 11, 12]
    assert chosen_slices(np.zeros((7, 4, 4), np.uint16), 20) == list(range(7))


def test_outlines_lie_on_their_objects() -> None:
    volume = np.full((4, 64, 64), 100, np.uint8)
    labels = np.zeros(volume.shape, np.uint16)
    for z in range(4):
        labels[z, 20:40, 10 + 10 * z : 20 + 10 * z] = 1
    sheet = contact_sheet(volume, labels, tile=64, opacity=0.0)
    assert sheet.shape == (2 * 68 + 4, 2 * 68 + 4, 3)
    for k in range(4):
        top, left = 4 + k // 2 * 68, 4 + k % 2 * 68
        tile = sheet[top : top + 64, left : left + 64].astype(int)
        colored = (tile.max(axis=2) != tile.min(axis=2)) & (np.arange(64) >= 18)[:, np.newaxis]  # below the number
        rows, columns = np.nonzero(colored)
        assert (rows.min(), rows.max()) == (20, 39)
        assert (columns.min(), columns.max()) == (10 + 10 * k, 19 + 10 * k)
        assert not colored[25, 14 + 10 * k]  # an outline, not a fill


def test_proportions_and_types() -> None:
    labels = np.zeros((1, 20, 40), np.uint16)
    assert contact_sheet(labels, labels, spacing=(1.0, 4.0, 1.0), tile=80).shape == (88, 48, 3)
    for dtype in (np.int16, np.float32):
        volume = np.linspace(-900, 900, 800).reshape(1, 20, 40).astype(dtype)
        tile = contact_sheet(volume, labels, tile=40)[4:24, 4:44]
        assert tile[-1, -1, 0] == 255
    color = np.zeros((1, 20, 40, 3), np.uint8)
    color[..., 1] = 200
    assert contact_sheet(color, labels, tile=40)[20, 40].tolist() == [0, 200, 0]


def test_shapes_that_differ() -> None:
    with pytest.raises(InvalidArgument, match="same"):
        contact_sheet(np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 5), np.uint8))
    with pytest.raises(InvalidArgument, match="same"):
        contact_sheet(np.zeros((0, 3, 4), np.uint8), np.zeros((0, 3, 4), np.uint8))
