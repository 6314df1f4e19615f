# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a client has drawn on one image, and its object as the client sees it: steps, undo, and what has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, Session
from medsam_engine.serve.log import log_event
from medsam_engine.serve.nninteractive.geometry import (
    Region,
    Shape,
    bounds,
    plane_of,
    plane_region,
    region_of,
    shifted,
    through_plane_axis,
    whole,
)
from medsam_engine.serve.nninteractive.parts import Part, unused_name
from medsam_engine.session import VoxelBox

_ERASED = "erased"
_MOST_UNDO = 100


@dataclass(frozen=True)
class Change:
    """The answer to an interaction.

    Attributes:
        ran: whether something was predicted or taken back.
        region: the voxels of the object that changed, tightly; None = none did.
    """

    ran: bool
    region: Region | None = None


@dataclass(frozen=True)
class _Done:
    """An interaction that can be taken back: its steps of the Session, and the parts before it."""

    steps: int
    parts: tuple[Part, ...]


class Drawing:
    """The object of a client: parts in a Session, less what was erased by hand, and a copy of what the client has.

    Not thread-safe; used on the worker's thread only.

    Args:
        session: of the image, a volume (D, H, W); nobody else uses it.
        spacing: mm along the axes of the array.
        seconds: how long an interaction may begin further planes.
        clock: seconds since any moment.

    Attributes:
        propagates: whether a prompt in a plane is carried to other planes ("auto-zoom" in the clients).
        parts: what was drawn, in the order in which it was begun.
        shown: the object as the client has it, bool of the image's shape.
    """

    def __init__(
        self,
        session: Session,
        shape: Shape,
        spacing: tuple[float, float, float],
        *,
        seconds: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session, self.shape = session, shape
        self.through_axis = through_plane_axis(shape, spacing)
        self.propagates = True
        self.parts: tuple[Part, ...] = ()
        self.shown = np.zeros(shape, np.bool_)
        self._seconds, self._clock = seconds, clock
        self._deadline = 0.0
        self._steps = 0
        self._touched: Region | None = None
        self._done: list[_Done] = []
        self._to_carry: dict[str, int] = {}

    # --- interactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def interaction(self) -> Iterator[None]:
        """One interaction of the client: all steps of the Session within, or none of them if one raises.

        What has changed is found by `change` afterwards.
        """
        before = self.parts
        self._deadline = self._clock() + self._seconds
        self._steps = 0
        self._to_carry = {}
        try:
            yield
            for name, axis in self._to_carry.items():
                self.carry(name, axis)
        except BaseException:
            self._take_back(_Done(self._steps, before))
            raise
        self._done = [*self._done, _Done(self._steps, before)][-_MOST_UNDO:]

    def undo(self) -> bool:
        """Takes the last interaction back, all of its steps. False if there is none that the Session remembers."""
        if not self._done:
            return False
        last = self._done[-1]
        if self.session.undo_steps < last.steps:  # forgotten for want of memory; so are those before it
            self._done = []
            return False
        self._done = self._done[:-1]
        self._take_back(last)
        return True

    def change(self) -> Region | None:
        """What differs from what the client has; from now on the client has it."""
        touched, self._touched = self._touched, None
        if touched is None:
            return None
        new = self.object_in(touched)
        differs = bounds(new != self.shown[touched.slices])
        if differs is None:
            return None
        region = shifted(differs, touched.low)
        self.shown[region.slices] = new[differs.slices]
        return region

    def reset(self) -> None:
        """Nothing is drawn and nothing can be undone; the client's copy is empty, too."""
        self.session.reset()
        self._forget()
        self.shown[...] = False
        self._touched = None

    def begin_with(self, mask: NDArray[np.bool_]) -> None:
        """The object is this mask, which the client has already; what was drawn before is gone for good."""
        self.session.reset()
        self._forget()
        self.session.add_mask("part 1", mask)
        self.parts = (Part("part 1", None),)
        self.shown[...] = mask
        self._touched = None

    def emptied_by_client(self) -> None:
        """The client's copy is empty now, whatever is drawn."""
        self.shown[...] = False
        self._touched = whole(self.shape)

    def object_in(self, region: Region) -> NDArray[np.bool_]:
        """The object's voxels of a region; an array of the caller's own."""
        found = np.zeros(region.sizes, np.bool_)
        known = {o.name for o in self.session.objects if o.voxels}
        for part in self.parts:
            if part.name in known:
                found |= self.session.mask(part.name, region.voxel_box())
        if _ERASED in known:
            found &= ~self.session.mask(_ERASED, region.voxel_box())
        return found

    # --- steps within an interaction ----------------------------------------------------------------------------------

    @property
    def seconds_left(self) -> float:
        """Until no further plane is begun."""
        return max(0.0, self._deadline - self._clock())

    def step(self, changed: VoxelBox | None) -> Region | None:
        """Takes note of a call of the Session that was one step of undo."""
        self._steps += 1
        region = region_of(changed)
        if region is not None:
            self._touched = region.united(self._touched)
        return region

    def back(self, steps: int) -> None:
        """Takes back the last steps of this interaction."""
        for _ in range(steps):
            self.session.undo()
        self._steps -= steps

    @property
    def steps(self) -> int:
        """Steps of this interaction so far."""
        return self._steps

    def new_part(self, axis: int | None) -> Part:
        """A part that is not in the Session yet."""
        return Part(unused_name(self.parts), axis)

    def put(self, part: Part) -> None:
        """Takes a part, or what it has become; the latest is the last."""
        self.parts = (*(p for p in self.parts if p.name != part.name), part)

    def has_voxels(self, name: str) -> bool:
        """Whether an object of the Session has any."""
        return any(o.name == name and o.voxels for o in self.session.objects)

    def in_plane(self, part: Part, axis: int, index: int) -> NDArray[np.bool_]:
        """The part's pixels in a plane."""
        if not self.has_voxels(part.name):
            return np.zeros(tuple(size for a, size in enumerate(self.shape) if a != axis), np.bool_)
        return self.plane_of_object(part.name, axis, index)

    def plane_of_object(self, name: str, axis: int, index: int) -> NDArray[np.bool_]:
        """The pixels of an object of the Session in a plane."""
        return plane_of(self.session.mask(name, plane_region(axis, index, self.shape).voxel_box()), axis, 0)

    def carry_later(self, part: Part, axis: int) -> None:
        """Carries a part at the end of the interaction, when all of it is drawn."""
        self._to_carry[part.name] = axis

    def carry(self, name: str, axis: int, *, first: int | None = None, last: int | None = None) -> None:
        """Carries a part from its planes of an axis to others, within the time that is left."""
        if not (self.propagates and self.shape[axis] > 1 and self.has_voxels(name)):
            return
        seconds = self.seconds_left
        try:
            self.step(self.session.propagate(name, axis=axis, first=first, last=last, seconds=seconds))
        except InvalidArgument:  # nothing was found in any of its planes
            log_event("not_carried", axis=axis)

    # --- what was erased by hand --------------------------------------------------------------------------------------

    def erased_in(self, region: Region) -> NDArray[np.bool_] | None:
        """The voxels of a region that were erased; None if none are in the whole image."""
        return self.session.mask(_ERASED, region.voxel_box()) if self.has_voxels(_ERASED) else None

    def erase(self, region: Region, mask: NDArray[np.bool_]) -> None:
        """Takes voxels out of the object, until something is drawn on them again."""
        if not mask.any():
            return
        erased = self.session.mask(_ERASED) if self.has_voxels(_ERASED) else np.zeros(self.shape, np.bool_)
        erased[region.slices] |= mask
        self.step(self.session.add_mask(_ERASED, erased))

    def restore(self, region: Region, mask: NDArray[np.bool_]) -> None:
        """What was erased there is no longer."""
        here = self.erased_in(region)
        if here is None or not (here & mask).any():
            return
        erased = self.session.mask(_ERASED)
        erased[region.slices] = here & ~mask
        self.step(self.session.add_mask(_ERASED, erased))

    def restore_plane(self, part: Part, axis: int, index: int) -> None:
        """What a part has in a plane is no longer erased."""
        pixels = np.expand_dims(self.in_plane(part, axis, index), axis)
        self.restore(plane_region(axis, index, self.shape), pixels)

    # ------------------------------------------------------------------------------------------------------------------

    def _take_back(self, done: _Done) -> None:
        for _ in range(done.steps):
            region = region_of(self.session.undo())
            if region is not None:
                self._touched = region.united(self._touched)
        self.parts = done.parts

    def _forget(self) -> None:
        self.parts, self._done = (), []
