# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""From a napari image layer to a session's arguments: pixels, spacing, the plane that is shown, coordinates in it.

Coordinates are the layer's own data coordinates, which are indices into its array with voxel centers at integers; world
coordinates are left by `Layer.world_to_data` and nowhere else. A view whose plane is no plane of the array is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from napari.components import Dims
from napari.layers import Image, Layer
from numpy.typing import ArrayLike, NDArray

from medsam_engine import InvalidArgument

# How far an axis may lean towards another (the tangent of the angle): a twentieth of a voxel over 500 voxels.
TOLERANCE = 1e-4
TRANSFORM = ("scale", "translate", "rotate", "shear", "affine", "units")


class Plane(NamedTuple):
    """A plane of an image layer's array.

    Attributes:
        axis: the axis of the array along which it is counted; None for an image.
        slice: its number; None for an image.
        across: the two axes in it, as Session counts them: x first.
        shape: the number of pixels along these two.
    """

    axis: int | None
    slice: int | None
    across: tuple[int, int]
    shape: tuple[int, int]

    @property
    def arguments(self) -> dict[str, int]:
        """What a prompt of Session is given to name this plane."""
        if self.axis is None or self.slice is None:
            return {}
        return {"axis": self.axis, "slice": self.slice}

    def inside(self, data: ArrayLike) -> NDArray[np.float64]:
        """Data coordinates (N, ndim) or (ndim,) as coordinates in the plane, (N, 2) or (2,), x first."""
        return np.asarray(data, np.float64)[..., list(self.across)]

    def pixel(self, point: ArrayLike) -> NDArray[np.float64] | None:
        """A point (2,) of the plane, moved to the center of an outer pixel where it lies in that pixel's outer half.

        None outside of the image.
        """
        xy = np.asarray(point, np.float64)
        last = np.asarray(self.shape) - 1
        if (xy < -0.5).any() or (xy > last + 0.5).any():
            return None
        return np.clip(xy, 0, last)

    def box(self, points: ArrayLike) -> list[int] | None:
        """The box of points (N, 2), cut to the image: the pixels that its corners lie in; None outside of the image."""
        xy = np.asarray(points, np.float64)
        low, high, last = xy.min(axis=0), xy.max(axis=0), np.asarray(self.shape) - 1
        if (high < -0.5).any() or (low > last + 0.5).any():
            return None
        corners = np.rint(np.clip([low, high], 0, last)).astype(int)
        return [int(number) for number in corners.ravel()]


def pixels(layer: Image) -> NDArray[np.generic]:
    """The layer's values as Session takes them, (H, W), (H, W, 3) or (D, H, W).

    Raises:
        InvalidArgument: a layer of another number of axes, or whose colors are not all opaque.
    """
    array = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if layer.rgb:
        if layer.ndim != 2:
            raise InvalidArgument(
                f"layer {layer.name!r}: got {layer.ndim} axes and colors, expected an image (H, W, 3); "
                "split the stack into images, or convert it to gray values"
            )
        if array.shape[-1] == 4:
            opaque = 255 if array.dtype == np.uint8 else 1
            if (array[..., 3] != opaque).any():
                raise InvalidArgument(
                    f"layer {layer.name!r}: got colors that are not opaque, expected RGB; leave the alpha channel out"
                )
        return np.ascontiguousarray(array[..., :3])
    if layer.ndim not in {2, 3}:
        raise InvalidArgument(
            f"layer {layer.name!r}: got {layer.ndim} axes, expected an image (H, W) or a volume (D, H, W); "
            "take one time point or channel out into a layer of its own"
        )
    if layer.ndim == 3 and array.shape[-1] == 3:
        raise InvalidArgument(
            f"layer {layer.name!r}: got a volume of 3 columns, which would be taken for an RGB image; expected more "
            "columns, or a layer with rgb=True"
        )
    return array


def spacing(layer: Image) -> list[float]:
    """The distance of voxels in mm, x, y or x, y, z: the length of a step along each axis of the array in world units.

    World units that are no lengths (napari's default, pixels) count as mm.
    """
    linear = np.linalg.inv(_world_to_data(layer))
    to_mm = np.array([_millimeters(unit) for unit in layer.units])
    steps = np.linalg.norm(linear * to_mm[:, np.newaxis], axis=0)
    return [float(step) for step in steps[::-1]]


def shown_plane(layer: Image, dims: Dims) -> Plane:
    """The plane of the layer's array that the viewer shows.

    Raises:
        InvalidArgument: the viewer shows the volume in 3D, or a plane that is none of the array, or several planes
            projected onto one another, or nothing of it.
    """
    if dims.ndisplay != 2:
        raise InvalidArgument("view: got 3D, expected 2D, in which prompts have a plane; press Ctrl+Y")
    shown = sorted(axis - (dims.ndim - layer.ndim) for axis in dims.displayed)
    if shown[0] < 0:
        raise InvalidArgument(
            f"view: got a plane across layer {layer.name!r}, which has {layer.ndim} axes; roll the axes (Ctrl+E)"
        )
    extent = (layer.data[0] if layer.multiscale else layer.data).shape
    across = (shown[1], shown[0])
    shape = (extent[across[0]], extent[across[1]])
    if layer.ndim == 2:
        return Plane(None, None, across, shape)
    (axis,) = set(range(layer.ndim)) - set(shown)
    _check_straight(layer, axis)
    _check_one_plane(layer, dims, axis)
    number = int(np.round(layer.world_to_data(dims.point)[axis]))
    if not 0 <= number < extent[axis]:
        raise InvalidArgument(
            f"view: got plane {number} of layer {layer.name!r}, expected 0 to {extent[axis] - 1}; scroll to the layer"
        )
    return Plane(axis, number, across, shape)


def copy_transform(source: Layer, target: Layer) -> None:
    """Lays a layer over another one, voxel on voxel."""
    for name in TRANSFORM:
        setattr(target, name, getattr(source, name))


def _world_to_data(layer: Layer) -> NDArray[np.float64]:
    """The linear part, (ndim, ndim): a column is the step in the array of one world unit along an axis."""
    origin = np.asarray(layer.world_to_data(np.zeros(layer.ndim)))
    return np.stack([np.asarray(layer.world_to_data(unit)) - origin for unit in np.eye(layer.ndim)], axis=1)


def _check_straight(layer: Layer, axis: int) -> None:
    """Refuses transforms under which what is shown is not one plane of the array, or lies elsewhere in it."""
    linear = np.abs(_world_to_data(layer))
    others = [other for other in range(layer.ndim) if other != axis]
    leans = linear[axis, others].max() > TOLERANCE * linear[axis, axis]
    drifts = (linear[others, axis] > TOLERANCE * linear[others].max(axis=1)).any()
    if leans or drifts:
        raise InvalidArgument(
            f"layer {layer.name!r}: got a transform that turns axis {axis}, expected its planes to be those that the "
            "viewer shows; set the layer's affine and rotate to none, or resample the image"
        )


def _check_one_plane(layer: Image, dims: Dims, axis: int) -> None:
    """Refuses thick slices: a mode of projection, and a margin around the viewer's point along the hidden axis."""
    shown = dims.ndim - layer.ndim + axis  # its number in the viewer
    if max(dims.margin_left[shown], dims.margin_right[shown]) > 0 and str(layer.projection_mode) != "none":
        raise InvalidArgument(
            f"layer {layer.name!r}: got a thick slice, the {layer.projection_mode} of several planes, expected one "
            "plane; set the layer's projection mode to none"
        )


def _millimeters(unit: Any) -> float:
    """The length of a unit (pint) in mm; 1 of a unit that is no length."""
    try:
        return float((1 * unit).to("millimeter").magnitude)
    except (AttributeError, TypeError, ValueError):  # pint's DimensionalityError is a TypeError
        return 1.0
