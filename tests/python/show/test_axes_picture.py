# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Where things lie on pictures: boxes, ticks and points, at every size; checked by geometry, not by stored pictures."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")

from medsam_engine.io.label_colors import colors_of
from medsam_engine.show.axes_picture import AxesPicture, drawn_range, image_tile, reduced_labels, tile_shape
from medsam_engine.show.preview import Marks, contact_sheet
from medsam_engine.show.slice_axes import MmScale, SliceAxes

GAP = 4
sizes = st.integers(1, 70)


@given(sizes, st.integers(1, 300), st.data())
def test_a_range_is_drawn_where_its_pixels_are(count: int, drawn: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first, count - 1))
    start, end = drawn_range(first, last, count, drawn)
    assert 0 <= start <= end < drawn
    shown = [p for p in range(drawn) if first <= p * count // drawn <= last]
    if shown:
        assert (start, end) == (shown[0], shown[-1])
    else:
        assert start == end


@given(sizes, sizes, st.integers(8, 300), st.floats(0.2, 5.0), st.data())
def test_a_box_frames_its_object_at_every_scale(
    height: int, width: int, tile: int, ratio: float, data: st.DataObject
) -> None:
    """The frame's outermost pixels are the outermost of the label that fills the box: what is tight looks tight."""
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0, width - 1)), data.draw(st.integers(y0, height - 1))
    labels = np.zeros((1, height, width), np.uint8)
    labels[0, y0 : y1 + 1, x0 : x1 + 1] = 1
    spacing = (1.0, ratio, 1.0)
    shape = tile_shape((height, width), spacing, tile)
    marks = Marks(np.array([[x0, y0, 0, x1, y1, 0]], float), np.array([1]))
    black = np.zeros(labels.shape, np.uint8)
    axes = SliceAxes(spacing[:2])
    picture = AxesPicture(axes, (height, width), shape)
    left, top = picture.margins.left + GAP, picture.margins.top + GAP

    def drawn(shown: NDArray[np.uint8], boxes: Marks) -> NDArray[np.generic]:
        sheet = contact_sheet(black, shown, tile=tile, opacity=0.0, marks=boxes, axes=axes)
        inner: NDArray[np.generic] = sheet[top : top + shape[0], left : left + shape[1]].max(axis=2)
        return inner

    framed = np.nonzero(drawn(black, marks))
    sampled = np.nonzero(reduced_labels(labels[0], shape))
    if not len(sampled[0]):
        assert len(framed[0])  # smaller than a pixel, and seen all the same
        return
    for ours, theirs in zip(framed, sampled, strict=True):
        assert (ours.min(), ours.max()) == (theirs.min(), theirs.max())


def test_a_box_is_on_the_slices_that_it_spans_in_its_labels_color() -> None:
    volume = np.zeros((6, 64, 64), np.uint8)
    marks = Marks(np.array([[10, 20, 1, 40, 50, 3], [5, 54, 3, 9, 60, 5]], float), np.array([300, 70000]))
    sheet = contact_sheet(volume, volume, tile=64, slices=range(6), marks=marks)
    for z in range(6):
        row, column = divmod(z, 3)
        tile = sheet[GAP + row * 68 :, GAP + column * 68 :][:64, :64]
        for (x0, y0, z0, x1, y1, z1), color in zip(marks.boxes.astype(int), colors_of(marks.labels), strict=True):
            here = [(tile[y, x] == color).all() for y, x in ((y1, x0), (y1, x1), (y0, x1), ((y0 + y1) // 2, x1))]
            assert all(here) if z0 <= z <= z1 else not any(here)


def test_boxes_choose_the_slices_when_nothing_was_found() -> None:
    volume = np.zeros((50, 8, 8), np.uint8)
    marks = Marks(np.array([[1, 1, 20, 5, 5, 22]], float), np.array([1]))
    one = contact_sheet(volume, volume, tile=16, marks=marks)
    np.testing.assert_array_equal(one, contact_sheet(volume, volume, tile=16, marks=marks, slices=[20, 21, 22]))


@pytest.mark.parametrize(("tile", "shape"), [(640, (64, 64)), (500, (97, 61)), (1024, (300, 512)), (256, (512, 512))])
def test_ticks_stand_at_their_voxels(tile: int, shape: tuple[int, int]) -> None:
    x, y = MmScale("x", -99.5, 0.8), MmScale("y", 47.0, -0.8)
    axes = SliceAxes((0.8, 0.8), (x, y, MmScale("z", 3.0, 2.0)))
    drawn = tile_shape(shape, axes.spacing, tile)
    picture = AxesPicture(axes, shape, drawn)
    sides = picture._sides
    columns = {"top": (shape[1], drawn[1], None), "bottom": (shape[1], drawn[1], x)}
    rows = {"left": (shape[0], drawn[0], None), "right": (shape[0], drawn[0], y)}
    volume = np.zeros((1, *shape), np.uint8)
    sheet = contact_sheet(volume, volume, tile=tile, slices=[0], axes=axes)
    left, top = picture.margins.left + GAP, picture.margins.top + GAP
    lines = {
        "top": sheet[top - 2, left : left + drawn[1]],
        "bottom": sheet[top + drawn[0] + 1, left : left + drawn[1]],
        "left": sheet[top : top + drawn[0], left - 2],
        "right": sheet[top : top + drawn[0], left + drawn[1] + 1],
    }
    for name, (count, pixels, scale) in {**columns, **rows}.items():
        assert len(sides[name].numbers) >= 2
        for place, text in sides[name].numbers:
            index = float(text) if scale is None else (float(text) - scale.first) / scale.step
            assert place == pytest.approx((index + 0.5) * pixels / count, abs=0.02 * pixels / count + 1e-6)
            assert lines[name][int(place)].any(), f"no tick at {text} of {name}"
            if scale is None:  # of a voxel: inside the pixels that show it
                start, end = drawn_range(index, index, count, pixels)
                assert start - 1 <= place <= end + 1


def test_numbers_do_not_touch_each_other_or_leave_the_cell() -> None:
    for tile in (64, 256, 400, 1024, 2600):
        for shape in ((512, 512), (2600, 1700), (20, 800), (800, 20)):
            scale = MmScale("x", -1234.5, 0.043)
            axes = SliceAxes((1.0, 1.0), (scale, scale, scale))
            picture = AxesPicture(axes, shape, tile_shape(shape, (1.0, 1.0), tile))
            for name, side in picture._sides.items():
                flat = name in ("top", "bottom")
                places = sorted(
                    (place, picture._width(text) if flat else picture._height) for place, text in side.numbers
                )
                for (one, size), (other, next_size) in itertools.pairwise(places):
                    assert other - one > (size + next_size) / 2, (name, tile, shape)


def test_points_are_crosses_in_two_colors() -> None:
    volume = np.full((1, 64, 64), 128, np.uint8)
    marks = Marks(points=np.array([[10.0, 20.0], [40.0, 50.0]]), point_labels=np.array([1, 0]))
    tile = contact_sheet(volume, volume * 0, tile=128, slices=[0], marks=marks)[GAP:, GAP:]
    assert tile[41, 21].tolist() == [0, 230, 0]
    assert tile[101, 81].tolist() == [255, 40, 40]
    assert tile[41, 24].tolist() == [0, 230, 0]
    assert tile[42, 22].tolist() == [0, 0, 0]  # the border, seen on green tissue too
    assert tile[60, 60].tolist() == [128, 128, 128]


def test_an_image_of_its_own_keeps_its_pixels() -> None:
    assert image_tile((2600, 1700), (0.1, 0.1)) == 2600
    assert image_tile((100, 80), (1.0, 1.0)) == 640
    assert image_tile((90000, 80), (1.0, 1.0)) == 4096
    assert image_tile((1000, 500), (2.0, 1.0)) == 1000
    assert tile_shape((1000, 500), (2.0, 1.0), 1000) == (1000, 1000)
