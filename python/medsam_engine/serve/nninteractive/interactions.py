# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What each interaction of nnInteractive's protocol does with a model that sees planes.

Ordinary drawing never raises: what lies outside is cut off, and what leaves nothing to do changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import Cancelled
from medsam_engine.serve.log import log_event
from medsam_engine.serve.nninteractive import strokes
from medsam_engine.serve.nninteractive.drawing import Drawing
from medsam_engine.serve.nninteractive.geometry import (
    Region,
    bounds,
    drawn_axis,
    plane_box,
    plane_of,
    plane_point,
    plane_region,
    rounded_region,
    rounded_voxel,
    shifted,
)
from medsam_engine.serve.nninteractive.parts import Part, Rectangle, continued, overlapping, widened

_THIN = 3  # voxels: as thick as the plane of a slightly oblique view becomes
_MOST_PLANES = 16  # of an outline or a stroke that goes through many
_SHARE_OF_3D = 0.75  # of the time, for a box in the volume; the rest is for what is done if it does not suffice
_TEMPORARY = "asked"


def add_box(drawing: Drawing, pairs: Sequence[Sequence[float]], positive: bool) -> None:
    """A box, half-open, in a plane if it is one voxel thick, and otherwise in the volume."""
    region = rounded_region(pairs).within(drawing.shape)
    if region is None:
        return
    thin = [axis for axis in range(3) if region.sizes[axis] == 1]
    if len(thin) > 1:  # a line or a point
        return
    axis = thin[0] if thin else drawn_axis(region, drawing.through_axis)
    if thin or region.sizes[axis] <= _THIN:
        index = (region.low[axis] + region.high[axis] - 1) // 2
        _box_in_plane(drawing, plane_box(region, axis), axis, index, positive)
    else:
        _box_in_volume(drawing, region, positive)


def _box_in_plane(drawing: Drawing, box: Rectangle, axis: int, index: int, positive: bool) -> None:
    session = drawing.session
    if not positive:
        drawing.step(session.add_box(_TEMPORARY, box, slice=index, axis=axis))
        found = drawing.plane_of_object(_TEMPORARY, axis, index)
        drawing.back(1)
        drawing.erase(plane_region(axis, index, drawing.shape), np.expand_dims(found, axis))
        return
    part = continued(drawing.parts, axis, index, box) or drawing.new_part(axis)
    drawing.step(session.add_box(part.name, box, slice=index, axis=axis))
    _drawn(drawing, part, axis, index, box)


def _drawn(drawing: Drawing, part: Part, axis: int, index: int, rectangle: Rectangle) -> None:
    """After a part was drawn anew in a plane: it is there, whatever was erased, and it will be carried on."""
    part = part.with_drawn(index, rectangle)
    drawing.put(part)
    drawing.restore_plane(part, axis, index)
    drawing.carry_later(part, axis)


def _box_in_volume(drawing: Drawing, region: Region, positive: bool) -> None:
    session = drawing.session
    part = drawing.new_part(None) if positive else Part(_TEMPORARY, None)
    allowed = _SHARE_OF_3D * drawing.seconds_left
    try:
        drawing.step(
            session.add_box(part.name, region.voxel_box(), cancelled=lambda: drawing.seconds_left < _rest(allowed))
        )
    except Cancelled:
        part = _box_from_its_middle(drawing, part, region)
    if not positive:
        found = session.mask(_TEMPORARY, region.voxel_box())
        drawing.back(drawing.steps)
        drawing.erase(region, found)
        return
    drawing.put(part)
    drawing.restore(region, session.mask(part.name, region.voxel_box()))


def _rest(allowed: float) -> float:
    return allowed / _SHARE_OF_3D - allowed


def _box_from_its_middle(drawing: Drawing, part: Part, region: Region) -> Part:
    """What the time still suffices for: the middle plane, carried to as many others as can be."""
    log_event("box_out_of_time", planes=region.sizes[0])
    axis = 0
    index = (region.low[axis] + region.high[axis] - 1) // 2
    box = plane_box(region, axis)
    drawing.step(drawing.session.add_box(part.name, box, slice=index, axis=axis))
    made = Part(part.name, axis).with_drawn(index, box)
    drawing.carry(made.name, axis, first=region.low[axis], last=region.high[axis] - 1)
    return made


def add_lasso(drawing: Drawing, mask: NDArray[np.bool_], at: Region, positive: bool) -> None:
    """A filled outline, `mask` of the voxels `at`."""
    tight = bounds(mask)
    if tight is None:
        return
    if not positive:
        drawing.erase(shifted(tight, at.low), mask[tight.slices])
        return
    for axis, index, pixels in _drawn_planes(drawing, mask, at):
        for piece in strokes.largest_pieces(pixels):
            outline = strokes.outline_of(piece)
            rectangle = _rectangle(outline)
            part = continued(drawing.parts, axis, index, rectangle) or drawing.new_part(axis)
            drawing.step(drawing.session.add_lasso(part.name, outline, slice=index, axis=axis))
            _drawn(drawing, part, axis, index, rectangle)


def add_scribble(drawing: Drawing, mask: NDArray[np.bool_], at: Region, positive: bool) -> None:
    """A stroke, `mask` of the voxels `at`."""
    for axis, index, pixels in _drawn_planes(drawing, mask, at):
        for line in strokes.lines_of(pixels):
            _stroke(drawing, line, axis, index, positive)


def add_point(drawing: Drawing, point: Sequence[float], positive: bool) -> None:
    """A click. It has no plane of its own: the one through it across the volume's planes is meant."""
    voxel = rounded_voxel(point, drawing.shape)
    if voxel is not None:
        axis = drawing.through_axis
        line = np.array([plane_point(voxel, axis)], np.float64)
        _stroke(drawing, line, axis, voxel[axis], positive)


def _drawn_planes(drawing: Drawing, mask: NDArray[np.bool_], at: Region) -> list[tuple[int, int, NDArray[np.bool_]]]:
    """The planes (axis, index) in which something was drawn, and their pixels, of the whole plane's shape."""
    tight = bounds(mask)
    if tight is None:
        return []
    # The client's own region says more of the plane than a straight stroke, which is thin along two axes.
    axis = drawn_axis(at if min(at.sizes) == 1 else tight, drawing.through_axis)
    first, last = tight.low[axis], tight.high[axis] - 1
    place = [slice(low, high) for a, (low, high) in enumerate(zip(at.low, at.high, strict=True)) if a != axis]

    def in_plane(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        whole_plane = np.zeros(tuple(size for a, size in enumerate(drawing.shape) if a != axis), np.bool_)
        whole_plane[place[0], place[1]] = pixels
        return whole_plane

    if last - first < _THIN:  # an oblique view: what was drawn, seen along the axis
        middle = at.low[axis] + (first + last) // 2
        return [(axis, middle, in_plane(np.any(mask, axis=axis)))]
    count = last - first + 1
    if drawing.propagates:  # which fills what lies between
        count = min(count, _MOST_PLANES)
    indices = np.unique(np.linspace(first, last, count).round().astype(int)).tolist()
    planes = [(axis, at.low[axis] + i, in_plane(plane_of(mask, axis, i))) for i in indices]
    return [plane for plane in planes if plane[2].any()]


def _stroke(drawing: Drawing, line: NDArray[np.float64], axis: int, index: int, positive: bool) -> None:
    """A click (one point) or a scribble in a plane."""
    pixels = line.round().astype(int)
    rectangle = _rectangle(line)
    here = {part.name: drawing.in_plane(part, axis, index) for part in drawing.parts}
    hit = [part for part in drawing.parts if here[part.name][pixels[:, 1], pixels[:, 0]].any()]
    if positive:
        if hit and _restored(drawing, hit[-1], here, pixels, axis, index):
            return
        part = hit[-1] if hit else _nearest(drawing, here, rectangle, within_reach=True)
        part = part or continued(drawing.parts, axis, index, rectangle, near=True) or drawing.new_part(axis)
        _draw_stroke(drawing, part, line, axis, index, True)
        return
    near = hit or [part for part in [_nearest(drawing, here, rectangle, within_reach=False)] if part]
    for part in near:
        _draw_stroke(drawing, part, line, axis, index, False)


def _draw_stroke(
    drawing: Drawing, part: Part, line: NDArray[np.float64], axis: int, index: int, positive: bool
) -> None:
    session = drawing.session
    before = drawing.in_plane(part, axis, index)
    if len(line) == 1:
        drawing.step(session.add_click(part.name, line[0], positive, slice=index, axis=axis))
    else:
        drawing.step(session.add_scribble(part.name, line, positive, slice=index, axis=axis))
    found = drawing.in_plane(part, axis, index)
    if not found.any() and part not in drawing.parts:
        drawing.back(1)  # nothing was found, so there is no new part
        return
    if part.axis == axis and not part.has_drawn(index):
        part = part.with_drawn(index, _extent(found) or _rectangle(line))
    drawing.put(part)
    if positive:  # what it added is wanted, even where something was erased
        added = np.expand_dims(found & ~before, axis)
        drawing.restore(plane_region(axis, index, drawing.shape), added)
    if part.axis in (None, axis):
        drawing.carry_later(part, axis)


def _restored(
    drawing: Drawing,
    part: Part,
    here: dict[str, NDArray[np.bool_]],
    pixels: NDArray[np.int_],
    axis: int,
    index: int,
) -> bool:
    """A positive stroke on what was erased by hand gives it back, as far as it hangs together in the plane."""
    plane = plane_region(axis, index, drawing.shape)
    erased = drawing.erased_in(plane)
    if erased is None:
        return False
    hidden = plane_of(erased, axis, 0) & here[part.name]
    if not hidden[pixels[:, 1], pixels[:, 0]].any():
        return False
    drawing.restore(plane, np.expand_dims(strokes.pieces_hit(hidden, pixels), axis))
    return True


def _nearest(
    drawing: Drawing, here: dict[str, NDArray[np.bool_]], rectangle: Rectangle, *, within_reach: bool
) -> Part | None:
    """The part whose pixels in the plane are nearest to a stroke; with `within_reach` only if they are close."""
    best: tuple[float, Part] | None = None
    for part in drawing.parts:
        extent = _extent(here[part.name])
        if extent is None or (within_reach and not overlapping(widened(extent), rectangle)):
            continue
        across = max(0, extent[0] - rectangle[2], rectangle[0] - extent[2])
        down = max(0, extent[1] - rectangle[3], rectangle[1] - extent[3])
        distance = float(np.hypot(across, down))
        if best is None or distance <= best[0]:
            best = distance, part
    return best[1] if best else None


def refine(drawing: Drawing) -> None:
    """Asks the model about each plane of the object, with the box of its mask, from the largest plane on.

    Planes in which the mask has several pieces, in which the model finds nothing, or for which there is no time stay.
    """
    axis, session = drawing.through_axis, drawing.session
    part = drawing.parts[0]
    mask = session.mask(part.name)
    areas = mask.sum(axis=tuple(a for a in range(3) if a != axis))
    for index in np.argsort(-areas, kind="stable").tolist():
        if not areas[index] or not drawing.seconds_left:
            break
        before = plane_of(mask, axis, index)
        if strokes.pieces_in(before) != 1:
            continue
        extent = _extent(before)
        assert extent is not None
        drawing.step(session.add_box(part.name, extent, slice=index, axis=axis))
        if not drawing.in_plane(part, axis, index).any():
            drawing.back(1)


def _rectangle(line: NDArray[np.float64]) -> Rectangle:
    (x0, y0), (x1, y1) = line.min(axis=0), line.max(axis=0)
    return round(x0), round(y0), round(x1), round(y1)


def _extent(pixels: NDArray[np.bool_]) -> Rectangle | None:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
