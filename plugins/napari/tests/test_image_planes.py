# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which plane of the array the viewer shows, in any order of the axes and under any transform."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from medsam_engine import InvalidArgument
from medsam_engine_napari.image_planes import pixels, shown_plane, spacing

SHAPE = (5, 24, 32)
ORDERS = tuple(itertools.permutations(range(3)))


@pytest.mark.parametrize("order", ORDERS)
def test_the_plane_is_the_one_that_is_shown(viewer: ViewerModel, order: tuple[int, ...]) -> None:
    layer = viewer.add_image(np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE), scale=(3.0, 0.5, 0.7))
    viewer.dims.order = order
    axis = order[0]
    for number in range(SHAPE[axis]):
        viewer.dims.set_current_step(axis, number)
        plane = shown_plane(layer, viewer.dims)
        assert (plane.axis, plane.slice) == (axis, number)
        assert plane.across == tuple(other for other in (2, 1, 0) if other != axis)
        # What napari itself draws, brought back from the order of the view.
        drawn = layer._slice.image.view
        expected = np.moveaxis(layer.data, axis, 0)[number]
        np.testing.assert_array_equal(drawn if order[1] < order[2] else drawn.T, expected)


@pytest.mark.parametrize("flips", list(itertools.product([1, -1], repeat=3)))
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flips_offsets_and_spacing(viewer: ViewerModel, flips: tuple[int, ...], axis: int) -> None:
    affine = np.diag([3.0 * flips[0], 0.5 * flips[1], 0.7 * flips[2], 1.0])
    affine[:3, 3] = (-40.5, 12.25, 3.0)
    layer = viewer.add_image(np.zeros(SHAPE, np.uint8), affine=affine, scale=(1.0, 2.0, 1.0))
    viewer.dims.order = (axis, *(other for other in range(3) if other != axis))
    assert spacing(layer) == pytest.approx([0.7, 1.0, 3.0])
    for number in (0, 2, SHAPE[axis] - 1):
        index = np.zeros(3)
        index[axis] = number
        viewer.dims.set_point(range(3), layer.data_to_world(index))
        assert shown_plane(layer, viewer.dims)[:2] == (axis, number)


def test_a_turn_within_the_plane_is_no_matter(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros(SHAPE, np.uint8), rotate=30, scale=(2.0, 1.0, 1.0))
    viewer.dims.set_point(0, 6.0)
    assert shown_plane(layer, viewer.dims)[:2] == (0, 3)
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(InvalidArgument, match=r"turns axis 1.*resample"):
        shown_plane(layer, viewer.dims)


def test_transforms_that_show_no_plane_are_refused(viewer: ViewerModel) -> None:
    tilt = np.eye(4)
    tilt[0, 1] = 0.02  # 1 degree
    permuted = np.eye(4)[[1, 2, 0, 3]]  # a sagittal scan under an affine to RAS
    for affine in (tilt, tilt.T, permuted):
        layer = Image(np.zeros(SHAPE, np.uint8), affine=affine)
        with pytest.raises(InvalidArgument, match="transform"):
            shown_plane(layer, viewer.dims if viewer.dims.ndim == 3 else ViewerModel(ndisplay=2).dims)
        viewer.add_image(np.zeros(SHAPE, np.uint8))
    noise = np.eye(4)
    noise[0, 1] = 1e-7  # of float32 headers
    assert shown_plane(viewer.add_image(np.zeros(SHAPE, np.uint8), affine=noise), viewer.dims).axis == 0


def test_views_without_a_plane_are_refused(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros(SHAPE, np.uint8))
    flat = viewer.add_image(np.zeros((24, 32), np.uint8))
    assert shown_plane(flat, viewer.dims) == (None, None, (1, 0), (32, 24))
    viewer.add_image(np.zeros((50, 4, 4), np.uint8))
    viewer.dims.set_current_step(0, 40)
    with pytest.raises(InvalidArgument, match=r"plane 40.*expected 0 to 4"):
        shown_plane(layer, viewer.dims)
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(InvalidArgument, match="has 2 axes"):
        shown_plane(flat, viewer.dims)
    viewer.dims.ndisplay = 3
    with pytest.raises(InvalidArgument, match="got 3D"):
        shown_plane(layer, viewer.dims)


def test_thick_slices_are_refused(viewer: ViewerModel) -> None:
    """What is drawn on a projection of several planes is about none of them."""
    layer = viewer.add_image(np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE), scale=(2.0, 1.0, 1.0))
    layer.projection_mode = "none"
    viewer.dims.set_point(0, 4.0)
    for side in ("margin_left", "margin_right"):
        setattr(viewer.dims, side, (4.5, 0.0, 0.0))
        assert shown_plane(layer, viewer.dims)[:2] == (0, 2)  # without a projection, the margin shows nothing else
        layer.projection_mode = "mean"
        assert (layer._slice.image.view != layer.data[2]).any()
        with pytest.raises(InvalidArgument, match=r"thick slice, the mean .* projection mode to none"):
            shown_plane(layer, viewer.dims)
        setattr(viewer.dims, side, (0.0, 9.0, 0.0))  # along an axis that is shown, it has no effect
        assert shown_plane(layer, viewer.dims)[:2] == (0, 2)
        np.testing.assert_array_equal(layer._slice.image.view, layer.data[2])
        setattr(viewer.dims, side, (0.0, 0.0, 0.0))
        layer.projection_mode = "none"


def test_points_and_boxes_are_cut_to_the_image(viewer: ViewerModel) -> None:
    plane = shown_plane(viewer.add_image(np.zeros(SHAPE, np.uint8)), viewer.dims)
    assert plane.inside([2, 7, 9]).tolist() == [9, 7]
    assert plane.box([[30.0, 20.0], [4.4, 3.6]]) == [4, 4, 30, 20]
    assert plane.box([[-9, -9], [99, 99]]) == [0, 0, 31, 23]
    assert plane.box([[32, 2], [40, 9]]) is None
    moved = plane.pixel([-0.4, 23.4])
    assert moved is not None
    assert moved.tolist() == [0, 23]
    assert plane.pixel([-0.6, 3]) is None
    assert plane.pixel([3, 23.6]) is None


@pytest.mark.parametrize(
    ("shape", "rgb", "message"),
    [
        ((2, 5, 24, 32), False, "got 4 axes"),
        ((5, 24, 3), False, "3 columns"),
        ((5, 24, 32, 3), True, "axes and colors"),
    ],
)
def test_what_a_session_would_take_for_something_else(shape: tuple[int, ...], rgb: bool, message: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        pixels(Image(np.zeros(shape, np.uint8), rgb=rgb))


def test_colors_lose_an_opaque_alpha_only() -> None:
    rgba = np.random.default_rng(0).integers(0, 255, (8, 9, 4)).astype(np.uint8)
    with pytest.raises(InvalidArgument, match="opaque"):
        pixels(Image(rgba, rgb=True))
    rgba[..., 3] = 255
    np.testing.assert_array_equal(pixels(Image(rgba, rgb=True)), rgba[..., :3])


def test_units_of_length_become_mm() -> None:
    values = np.zeros(SHAPE, np.uint8)
    assert spacing(Image(values, scale=(500, 100, 200), units="um")) == pytest.approx([0.2, 0.1, 0.5])
    assert spacing(Image(values, scale=(5, 1, 2))) == pytest.approx([2, 1, 5])
