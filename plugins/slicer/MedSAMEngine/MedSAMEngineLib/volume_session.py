# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A session on one volume node, in this process or on a server, whose objects are segments of one segmentation node."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument, Session
from medsam_engine.session import VoxelBox
from MedSAMEngineLib import segment_labelmaps
from MedSAMEngineLib.markup_prompts import drawn_points, inside, placed_points, plane_points, roi_box
from MedSAMEngineLib.server_requests import Server
from MedSAMEngineLib.server_session import ServerSession
from MedSAMEngineLib.volume_geometry import ijk_to_ras, spacing, through_plane_axis, voxels

AnySession: TypeAlias = Session | ServerSession


class VolumeSession:
    """Prompts from markups, masks into segments; an object's name in the session is the segment's ID.

    What the Segment Editor has done to a segment is taken over before the segment's next prompt, as a step of undo. For
    the main thread, as everything in MRML.

    Args:
        engine: the model, or a server that has one.
        volume: vtkMRMLScalarVolumeNode, or vtkMRMLVectorVolumeNode of one RGB image. Its voxels are copied.
        segmentation: vtkMRMLSegmentationNode; it gets the volume's grid and parent transform.
        window: as in Session.
        modality: as in Session.

    Raises:
        InvalidArgument: as Session, and for volumes that it would take for something else.
    """

    def __init__(
        self,
        engine: Engine | Server,
        volume: Any,
        segmentation: Any,
        window: str | None = None,
        modality: str | None = None,
    ) -> None:
        values = voxels(volume)
        self._flat = values.shape[-1] == 3
        steps = spacing(volume)
        steps = steps[:2] if self._flat else steps
        self.session: AnySession
        if isinstance(engine, Server):
            moved = volume.GetTransformNodeID() is not None
            name = f"3D Slicer: {volume.GetName()}{', without its transform' if moved else ''}"
            self.session = ServerSession(engine, values, steps, window, modality, ijk_to_ras(volume), name[:200])
        else:
            self.session = Session(engine, values, steps, window, modality)
        self.volume, self.segmentation = volume, segmentation
        self._pixels = self._state_of_pixels()
        self._place = self._state_of_place()
        self._written: dict[str, int] = {}
        self._clicked: dict[tuple[str, str], _Click] = {}
        segment_labelmaps.prepare(segmentation, volume)
        self._resume()

    def close(self) -> None:
        """Has a server keep the work and close its study."""
        if isinstance(self.session, ServerSession):
            self.session.close()

    def add_markup(self, segment_id: str, markup: Any, positive: bool = True, axis: int | None = None) -> None:
        """Prompts with a markup: a region of interest, a line, a curve or points (markup_prompts.py).

        Each point of a list is a click once: points that were clicks before are left out unless they were moved since,
        or the segment that they were for was reset.

        Args:
            segment_id: of the segment that it is for.
            markup: the node; it stays as it is.
            positive: the sign of clicks and scribbles.
            axis: of the array, of the view in which the markup was placed; None = across the acquired slices.

        Raises:
            InvalidArgument: it is of another kind, outside, or on no plane, or all of its points were clicks before;
                nothing is changed then. Otherwise as Session; the points before the one that it refuses stay clicks.
        """
        self._check_volume()
        kind = markup.GetClassName()
        if kind == "vtkMRMLMarkupsROINode":
            box, plane = roi_box(self.volume, markup)
            self._step(segment_id, lambda session: session.add_box(segment_id, box, **plane))
            return
        if kind == "vtkMRMLMarkupsFiducialNode":
            self._click(segment_id, markup, positive, axis)
            return
        found, plane = plane_points(self.volume, drawn_points(markup), axis)
        calls: dict[str, Callable[[AnySession], VoxelBox | None]] = {
            "vtkMRMLMarkupsLineNode": lambda session: session.add_line(segment_id, found, **plane),
            "vtkMRMLMarkupsCurveNode": lambda session: session.add_scribble(segment_id, found, positive, **plane),
            "vtkMRMLMarkupsClosedCurveNode": lambda session: session.add_lasso(segment_id, found, **plane),
        }
        if kind not in calls:
            raise InvalidArgument(f"markup {markup.GetName()!r}: got {kind}, expected a ROI, points, a line or a curve")
        self._step(segment_id, calls[kind])

    def propagate(
        self,
        segment_id: str,
        axis: int | None = None,
        first: int | None = None,
        last: int | None = None,
        distance: float | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Carries a segment through the slices; arguments as in Session.propagate, axis None as in `add_markup`."""
        along = through_plane_axis(self.volume) if axis is None else axis
        self._step(
            segment_id,
            lambda session: session.propagate(
                segment_id,
                axis=along,
                first=first,
                last=last,
                distance=distance,
                progress=progress,
                cancelled=cancelled,
            ),
        )

    def reset(self, segment_id: str) -> None:
        """Takes the prompts and the mask from a segment."""
        if any(each.name == segment_id for each in self.session.objects):
            self._step(segment_id, lambda session: session.remove(segment_id))
        self._clicked = {key: each for key, each in self._clicked.items() if each.segment_id != segment_id}

    def undo(self) -> None:
        """Takes back the last step."""
        self._step(None, lambda session: session.undo())

    def redo(self) -> None:
        """Does it again."""
        self._step(None, lambda session: session.redo())

    def take_edits(self, segment_id: str) -> None:
        """Gives the session what the Segment Editor has made of a segment since it was last written."""
        state = segment_labelmaps.changed_at(self.segmentation, segment_id)
        if state == self._written.get(segment_id, 0):
            return
        mask = segment_labelmaps.read(self.segmentation, segment_id, self.volume)
        known = any(each.name == segment_id for each in self.session.objects)
        before = self._mask(segment_id) if known else np.zeros_like(mask)
        if (mask != before).any():
            self.session.add_mask(segment_id, mask[0] if self._flat else mask)
        self._written[segment_id] = state

    def _resume(self) -> None:
        """Gives segments what a server has kept of earlier work on these voxels; segments that hold something stay."""
        inner = self.segmentation.GetSegmentation()
        for each in self.session.objects:
            if inner.GetSegment(each.name) is None:
                inner.AddEmptySegment(each.name, each.name)
            if not segment_labelmaps.read(self.segmentation, each.name, self.volume).any():
                mask = self._mask(each.name)
                depth, height, width = mask.shape
                whole = (0, 0, 0, width - 1, height - 1, depth - 1)
                segment_labelmaps.write(self.segmentation, each.name, self.volume, mask, whole)
                self._written[each.name] = segment_labelmaps.changed_at(self.segmentation, each.name)

    def _click(self, segment_id: str, markup: Any, positive: bool, axis: int | None) -> None:
        """Makes clicks of the points that were none yet, each in a plane of its own."""
        placed = placed_points(markup)
        clicks = {
            (markup.GetID(), point_id): _Click(segment_id, tuple(point.tolist())) for point_id, point in placed.items()
        }
        new = {key: each for key, each in clicks.items() if not each.is_at(self._clicked.get(key))}
        if placed and not new:
            raise InvalidArgument(
                f"markup {markup.GetName()!r}: got no point that is new, expected at least one; place or move a point, "
                "or press Redo after Undo"
            )
        world = np.array([each.world for each in new.values()]).reshape(-1, 3)
        inside(self.volume, world)  # all of them, before the first one is a click
        for key, each in new.items():
            points, plane = plane_points(self.volume, np.array([each.world]), axis)
            self._step(segment_id, partial(_add_click, segment_id, points[0], positive, plane))
            self._clicked[key] = each

    def _step(self, segment_id: str | None, call: Callable[[AnySession], VoxelBox | None]) -> None:
        """Runs a call and writes what it changed into the segments, whichever they are."""
        self._check_volume()
        known = [each.name for each in self.session.objects]
        named = [*known, segment_id] if segment_id is not None and segment_id not in known else known
        present = [each for each in named if self.segmentation.GetSegmentation().GetSegment(each) is not None]
        # Before the call: what it finds can be written to all of them.
        segment_labelmaps.check_grids(self.segmentation, present, self.volume)
        for each in present:
            self.take_edits(each)
        box = call(self.session)
        if box is None:
            return
        left = {each.name for each in self.session.objects}
        for each in {*known, *left}:
            if self.segmentation.GetSegmentation().GetSegment(each) is None:
                continue  # deleted in the editor
            x0, y0, z0, x1, y1, z1 = box
            empty = np.zeros((z1 + 1 - z0, y1 + 1 - y0, x1 + 1 - x0), np.bool_)
            part = self._mask(each, box) if each in left else empty
            segment_labelmaps.write(self.segmentation, each, self.volume, part, box)
            self._written[each] = segment_labelmaps.changed_at(self.segmentation, each)

    def _mask(self, segment_id: str, box: VoxelBox | None = None) -> NDArray[np.bool_]:
        mask = self.session.mask(segment_id, box)
        return mask[np.newaxis] if self._flat else mask

    def _check_volume(self) -> None:
        """Refuses a volume that is another one than the session's, or lies elsewhere, by now."""
        changed = ""
        if self._state_of_pixels() != self._pixels:
            changed = "other voxels"
        elif self._state_of_place() != self._place:
            changed = "another matrix or parent transform"
        if changed:
            raise InvalidArgument(
                f"volume {self.volume.GetName()!r}: got {changed} since the session began; begin it again"
            )

    def _state_of_place(self) -> tuple[bytes, str | None]:
        """The values of the node's matrix, and which transform it is under.

        That transform's own values may change: the segmentation is under the same one, and prompts pass it as it is.
        """
        return ijk_to_ras(self.volume).tobytes(), self.volume.GetTransformNodeID()

    def _state_of_pixels(self) -> tuple[str, int]:
        image = self.volume.GetImageData()
        return (str(image.__this__), int(image.GetMTime())) if image is not None else ("", 0)


class _Click(NamedTuple):
    """What a control point was a click for, and where it was then."""

    segment_id: str
    world: tuple[float, ...]

    def is_at(self, before: _Click | None) -> bool:
        return before is not None and self.world == before.world


def _add_click(
    segment_id: str, point: NDArray[np.float64], positive: bool, plane: dict[str, int], session: AnySession
) -> VoxelBox | None:
    return session.add_click(segment_id, point, positive, **plane)
