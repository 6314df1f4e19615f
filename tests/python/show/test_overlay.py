# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Pictures of label maps."""

import numpy as np
import pytest

from medsam_engine import InvalidArgument
from medsam_engine.io.label_colors import label_colors
from medsam_engine.show.overlay import displayed, draw_overlay, outlines


def test_colors_differ() -> None:
    colors = label_colors(24)
    assert len(np.unique(colors, axis=0)) == 24
    # Neighbors are far apart: the eye separates objects by their order.
    steps = np.abs(np.diff(colors.astype(int), axis=0)).sum(axis=1)
    assert steps.min() > 150


def test_display_keeps_uint8_and_stretches_the_rest() -> None:
    gray = np.array([[10, 20]], np.uint8)
    np.testing.assert_array_equal(displayed(gray)[..., 0], gray)
    for pixels in (np.array([[-1000, 3000]], np.int16), np.array([[0.0, 1.0]], np.float32)):
        np.testing.assert_array_equal(displayed(pixels)[0, :, 1], [0, 255])
    np.testing.assert_array_equal(displayed(np.full((2, 2), 7, np.uint16)), 0)


def test_outline_is_the_border_inside_the_label() -> None:
    labels = np.zeros((7, 9), np.uint8)
    labels[1:6, 2:7] = 1
    edge = outlines(labels)
    expected = labels.astype(bool)
    expected[2:5, 3:6] = False
    np.testing.assert_array_equal(edge, expected)
    touching = np.ones((4, 4), np.uint8)
    assert outlines(touching)[0].all()
    assert not outlines(touching)[1:3, 1:3].any()


def test_fill_outline_and_the_rest() -> None:
    image = np.full((20, 20, 3), 100, np.uint8)
    labels = np.zeros((20, 20), np.uint16)
    labels[5:15, 5:15] = 2
    picture = draw_overlay(image, labels, opacity=0.5, width=1)
    color = label_colors(2)[1]
    np.testing.assert_array_equal(picture[0, 0], [100, 100, 100])
    np.testing.assert_array_equal(picture[5, 5], color)
    np.testing.assert_array_equal(picture[10, 10], np.round((100 + color.astype(float)) / 2))
    np.testing.assert_array_equal(image, 100)


def test_boxes_are_framed() -> None:
    image, labels = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    picture = draw_overlay(image, labels, boxes=[[2, 3, 10, 12]])
    color = label_colors(1)[0]
    for y, x in ((3, 2), (12, 10), (3, 10), (12, 2), (3, 6), (7, 2)):
        np.testing.assert_array_equal(picture[y, x], color)
    assert not picture[7, 6].any()
    draw_overlay(image, labels, boxes=[[0, 0, 20, 20]])  # an end at the size is legal


def test_labels_are_any_numbers_and_boxes_have_their_color() -> None:
    image, labels = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint32)
    labels[2:6, 2:6] = 4294967295  # colors for all numbers up to it would take 12 GB
    picture = draw_overlay(image, labels, boxes=[[1, 1, 8, 8], [10, 10, 18, 18]], box_labels=[4294967295, 7])
    np.testing.assert_array_equal(picture[2, 2], picture[1, 1])
    np.testing.assert_array_equal(picture[10, 10], label_colors(7)[6])
    thick = draw_overlay(image, labels * 0, boxes=[[4, 4, 12, 9]], box_width=2).any(axis=2)
    expected = np.zeros((20, 20), bool)
    expected[4:10, 4:13], expected[6:8, 6:11] = True, False
    np.testing.assert_array_equal(thick, expected)
    with pytest.raises(InvalidArgument, match="box_labels"):
        draw_overlay(image, labels, boxes=[[1, 1, 8, 8]], box_labels=[1, 2])


@pytest.mark.parametrize(
    "call",
    [
        lambda: draw_overlay(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)),
        lambda: draw_overlay(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), opacity=1.5),
        lambda: draw_overlay(np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4), np.uint8)),
    ],
)
def test_what_does_not_fit_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(InvalidArgument):
        call()
