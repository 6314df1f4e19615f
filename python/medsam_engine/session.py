# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A session: one image or volume, any number of named objects, drawn and corrected by clicks, boxes and lines."""

from __future__ import annotations  # so that help(Session) shows ArrayLike and not the twenty lines behind it

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine import _core
from medsam_engine import session_arguments as arguments
from medsam_engine.engine import Engine
from medsam_engine.engine_log import forward_messages
from medsam_engine.errors import InvalidArgument
from medsam_engine.volume_arguments import core_planes, core_spacing

VoxelBox = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class SessionObject:
    """One object of a session.

    Attributes:
        name: as given.
        locked: whether other objects are kept off its voxels.
        voxels: the number of voxels of its mask.
        box: x0, y0, z0, x1, y1, z1 of its mask, ends inclusive; None without a voxel.
        prompts: the number of prompts that the mask answers.
    """

    name: str
    locked: bool
    voxels: int
    box: VoxelBox | None
    prompts: int


class EncodingProgress(NamedTuple):
    """How far encoding ahead is, along the axis of the last prompt.

    Attributes:
        encoded: planes whose embeddings are held.
        total: planes of the axis.
        idle: nothing is being encoded: all are held, the memory is full, or an encode failed.
    """

    encoded: int
    total: int
    idle: bool


class Session:
    """What a person works on: one image or volume and its objects, each with a name, its prompts and its mask.

    A prompt is answered by what the weights know (`Engine.info.trained_prompts`). Weights that know points answer
    clicks themselves. For weights that know boxes only, a click that begins an object is answered by a search over
    boxes, and a click on an object that has a mask corrects the mask near the click. A scribble is answered so by all
    weights; a lasso by the model in its box, cut to the outline. An object is made by its first prompt; a session has
    at most 65535. A line may be at most 4 times as long as its plane has pixels.

    Coordinates are pixels, counted from 0; the center of the first pixel is 0. In a volume, a prompt of a plane names
    the plane: `slice` is its number along `axis` of the array (0 = z, 1 = y, 2 = x), and the coordinates are the
    remaining axes, last first: x, y in a plane of axis 0; x, z of axis 1; y, z of axis 2. For an image (H, W), leave
    both out.

    Every call that changes something is one step of undo; all but `lock` return the box of the voxels that they
    changed, x0, y0, z0, x1, y1, z1 with inclusive ends, or None. The same calls in the same order give the same masks,
    unless `propagate` was given a time. A call that raises leaves the session as it was. Any thread may call any
    method; calls wait for one another. A session cannot be pickled.

    Besides what a method names, any may raise InvalidArgument (an argument of another type or out of range),
    Unsupported (in a child process after fork, and from a callback of the session's own call), BackendError and
    OutOfMemory.

    Args:
        engine: the model.
        image: (H, W), (H, W, 3) or (D, H, W); raw values, as from a scanner. An array whose last axis is 3 is RGB.
        spacing: mm between pixels along x, y or x, y, z, as MedicalImage.spacing has it; None = 1 each.
        window: as in `medsam_engine.windows.apply_window`; None = by `modality`, and uint8 as it is.
        modality: DICOM's code for the window, and the modality for models that distinguish them.
        embedding_bytes: bytes of memory for encoded planes; the least recently used ones are dropped first.
        undo_bytes: bytes of masks and prompts that only undo needs; the oldest steps are forgotten first.
        encode_ahead: encode planes on a thread of the session while no call runs, from the middle outward and then
            round the plane of the last prompt.

    Raises:
        InvalidArgument: a wrong shape, dtype, spacing, window or modality.
        OutOfMemory: the pixels could not be copied.
    """

    def __init__(
        self,
        engine: Engine,
        image: NDArray[np.generic],
        spacing: Sequence[float] | None = None,
        window: str | None = None,
        modality: str | None = None,
        *,
        embedding_bytes: int = 512 << 20,
        undo_bytes: int = 128 << 20,
        encode_ahead: bool = True,
    ) -> None:
        if not isinstance(engine, Engine):
            raise InvalidArgument(f"engine: got {type(engine).__name__}, expected a medsam_engine.Engine")
        pixels, self._flat = arguments.windowed_pixels(image, window, modality)
        self._engine = engine
        self._core = _core.Session(
            engine._core,
            pixels,
            spacing=core_spacing(spacing, self._flat, absent=1.0),
            modality=arguments.core_modality(engine, modality),
            embedding_bytes=arguments.core_bytes("embedding_bytes", embedding_bytes),
            undo_bytes=arguments.core_bytes("undo_bytes", undo_bytes),
            encode_ahead=arguments.true_or_false("encode_ahead", encode_ahead),
        )

    def add_box(
        self,
        name: str,
        box: ArrayLike,
        slice: int | None = None,
        axis: int = 0,
        *,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
        planes: str = "slices",
    ) -> VoxelBox | None:
        """Puts a box round an object, in a plane or, with six numbers, in the volume; ends inclusive.

        A box in a plane replaces what the object had there: its mask and its prompts. A box in the volume, x0, y0, z0,
        x1, y1, z1, replaces the whole object and is answered as Engine.segment_volume does; `progress`, `cancelled`
        and `planes` are that method's, and the spacing is the session's.
        """
        name = arguments.object_name(name)
        numbers = arguments.numbers("box", box, (4, 6), "x0, y0, x1, y1 or x0, y0, z0, x1, y1, z1")
        if numbers.size == 6:
            if slice is not None or axis != 0:
                raise InvalidArgument(
                    "box: got six numbers with slice or axis, expected four in a plane; leave them out"
                )
            return self._told(
                self._core.add_box_3d(name, numbers, progress=progress, cancelled=cancelled, planes=core_planes(planes))
            )
        if progress is not None or cancelled is not None or planes != "slices":
            raise InvalidArgument(
                "box: got four numbers with progress, cancelled or planes, expected six; leave them out"
            )
        return self._told(self._core.add_box(name, numbers, *self._plane(slice, axis)))

    def add_click(
        self, name: str, point: ArrayLike, positive: bool = True, slice: int | None = None, axis: int = 0
    ) -> VoxelBox | None:
        """Clicks on an object (positive) or beside it.

        On a plane where the object has nothing, a positive click finds the object; otherwise the click corrects the
        mask near it. InvalidArgument also for a negative click where the object has nothing.
        """
        name = arguments.object_name(name)
        x, y = arguments.numbers("point", point, (2,), "two coordinates")
        return self._told(
            self._core.add_click(name, x, y, arguments.true_or_false("positive", positive), *self._plane(slice, axis))
        )

    def add_scribble(
        self, name: str, line: ArrayLike, positive: bool = True, slice: int | None = None, axis: int = 0
    ) -> VoxelBox | None:
        """Draws a line (N, 2) on an object (positive) or beside it; as a click otherwise."""
        name, points = arguments.object_name(name), arguments.points("line", line)
        return self._told(
            self._core.add_scribble(
                name, points, arguments.true_or_false("positive", positive), *self._plane(slice, axis)
            )
        )

    def add_lasso(self, name: str, outline: ArrayLike, slice: int | None = None, axis: int = 0) -> VoxelBox | None:
        """Draws a closed line (N, 2), N >= 3, round an object. The mask stays inside."""
        name, points = arguments.object_name(name), arguments.points("outline", outline)
        return self._told(self._core.add_lasso(name, points, *self._plane(slice, axis)))

    def add_line(self, name: str, line: ArrayLike, slice: int | None = None, axis: int = 0) -> VoxelBox | None:
        """Draws an object's longest diameter (RECIST), x0, y0, x1, y1 or (2, 2)."""
        name = arguments.object_name(name)
        numbers = arguments.line_ends(line)
        return self._told(self._core.add_line(name, numbers, *self._plane(slice, axis)))

    def add_mask(self, name: str, mask: NDArray[np.generic]) -> VoxelBox | None:
        """Gives an object a mask, bool or uint8 of the image's shape, nonzero inside; replaces all that it had."""
        name, values = arguments.object_name(name), arguments.mask_voxels(mask, self._flat)
        return self._told(self._core.add_mask(name, values))

    def propagate(
        self,
        name: str,
        *,
        axis: int = 0,
        direction: str = "both",
        first: int | None = None,
        last: int | None = None,
        distance: float | None = None,
        seconds: float | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
        reached: Callable[[int, NDArray[np.bool_]], bool | None] | None = None,
    ) -> VoxelBox | None:
        """Carries an object from the planes with prompts to the planes between and beyond them.

        Args:
            name: the object.
            axis: along which axis of the array.
            direction: "both", "up" (to larger indices) or "down".
            first: the plane down to which the object reaches; every plane from there on is filled, and nothing is
                written below. None = as far as `distance` or, without one, 0.7 times the shorter side of the box in mm.
            last: likewise, the plane up to which it reaches.
            distance: how far beyond the outermost planes with prompts, in mm. For an object that was begun in the
                volume it only limits what is written.
            seconds: after which no further plane is begun; what was reached, nearest to the prompts first, stays. None
                = no limit.
            progress: called after each plane as progress(done, total).
            cancelled: called before each plane; returning True ends the call with Cancelled, the session unchanged.
            reached: called as reached(index, mask) with each plane that is to be written, those nearest to the prompts
                first: the object's mask there as the call leaves it, bool (rows, columns), the callee's own. Returning
                False begins no further plane; what was reached stays.
        """
        return self._told(
            self._core.propagate(
                arguments.object_name(name),
                axis=arguments.array_axis(axis),
                direction=arguments.direction(direction),
                first=arguments.optional_plane("first", first),
                last=arguments.optional_plane("last", last),
                distance=arguments.optional_amount("distance", distance),
                seconds=arguments.optional_amount("seconds", seconds),
                progress=progress,
                cancelled=cancelled,
                reached=reached,
            )
        )

    def undo(self) -> VoxelBox | None:
        """Takes back the last step."""
        box: VoxelBox | None = self._core.undo()
        return box

    def redo(self) -> VoxelBox | None:
        """Does the last step that was taken back again."""
        box: VoxelBox | None = self._core.redo()
        return box

    @property
    def undo_steps(self) -> int:
        """How often undo() has an effect."""
        return self._core.undo_steps()

    @property
    def redo_steps(self) -> int:
        """How often redo() has an effect."""
        return self._core.redo_steps()

    def remove(self, name: str) -> VoxelBox | None:
        """Removes an object, its mask and its prompts."""
        return self._told(self._core.remove(arguments.object_name(name)))

    def reset(self) -> VoxelBox | None:
        """Removes all objects, in one step."""
        return self._told(self._core.reset())

    def lock(self, name: str, locked: bool = True) -> None:
        """Keeps other objects off this one's voxels, and refuses prompts for it, until it is unlocked."""
        self._core.lock(arguments.object_name(name), arguments.true_or_false("locked", locked))

    @property
    def objects(self) -> list[SessionObject]:
        """The objects, in the order in which they were made."""
        return [SessionObject(*fields) for fields in self._core.objects()]

    def mask(self, name: str, box: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """The mask of an object, bool; an array of the caller's own.

        Args:
            name: the object.
            box: the voxels x0, y0, z0, x1, y1, z1, ends inclusive, such as a call said that it changed; the array then
                is [z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1] of the mask. None = the image's shape.
        """
        mask: NDArray[np.bool_] = self._core.mask(arguments.object_name(name), arguments.voxel_box(box))
        return mask[0] if self._flat else mask

    def preview_click(self, point: ArrayLike, slice: int | None = None, axis: int = 0) -> NDArray[np.bool_] | None:
        """What a positive click of a new object would find, for a preview under the cursor; changes nothing.

        Returns:
            bool, (rows, columns) of the plane: without its axis, the image's shape. None, at once, while another call
            runs or where the plane has not been encoded yet.
        """
        x, y = arguments.numbers("point", point, (2,), "two coordinates")
        return self._core.preview_click(x, y, *self._plane(slice, axis))

    def preview_box(self, box: ArrayLike, slice: int | None = None, axis: int = 0) -> NDArray[np.bool_] | None:
        """What a box in a plane would find, as preview_click.

        Of a small box of an image, by the whole image alone where the profile zooms.
        """
        numbers = arguments.numbers("box", box, (4,), "x0, y0, x1, y1")
        return self._core.preview_box(numbers, *self._plane(slice, axis))

    def labels(self) -> NDArray[np.uint16]:
        """All objects: k + 1 where objects[k] is, 0 elsewhere, of the image's shape.

        Where several are, a locked object has the voxel; otherwise the profile decides.
        """
        labels = self._core.labels()
        return labels[0] if self._flat else labels

    @property
    def encoding(self) -> EncodingProgress:
        """How far encoding ahead is; does not wait for other calls."""
        return EncodingProgress(*self._core.encoding())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the objects, their prompts and masks, not the image (docs/session_file.md)."""
        self._core.save(os.fspath(path))

    def load(self, path: str | os.PathLike[str]) -> VoxelBox | None:
        """Replaces the objects by those of a file that save() wrote for the same image. One step of undo."""
        return self._told(self._core.load(os.fspath(path)))

    def _told(self, box: VoxelBox | None) -> VoxelBox | None:
        forward_messages(self._engine._core)
        return box

    def _plane(self, slice: int | None, axis: int) -> tuple[int, int]:
        if slice is None:
            if not self._flat:
                raise InvalidArgument(
                    "slice: got none, expected the number of a plane; a prompt of a plane in a volume names it"
                )
            return arguments.array_axis(axis), 0
        return arguments.array_axis(axis), arguments.whole_number("slice", slice)

    def __reduce__(self) -> None:  # type: ignore[override]
        raise TypeError("a Session cannot be pickled: save() writes its objects")
