# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A study as the page works on it: steps with what they changed, and what its events tell."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Session, _core
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.medical_image import DicomSource
from medsam_engine.serve.api import bodies
from medsam_engine.serve.api.growth import Growth
from medsam_engine.serve.api.masks import mask_of, overlap, runs_of, sent_mask
from medsam_engine.serve.api.object_labels import ObjectLabels, printable_name
from medsam_engine.serve.log import log_event
from medsam_engine.serve.study import Study
from medsam_engine.session import VoxelBox

Reply = dict[str, Any]
_OBJECTS = 1000
_LONGEST_PROPAGATION = 45.0  # seconds: programs that wait for the same thread give up at 60


class OpenStudy:
    """Work of the page on a study. Methods run on the worker's thread, but for `cancel` and the attributes.

    Attributes:
        study: whose session is changed.
        revision: a number that grows with each step, so that a page knows whether it has seen them all.
        saved: whether the work was kept when it was last saved; False as long as it is kept nowhere.
        growth: what the running propagation has done.
        closed: set when the study was closed.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.revision = 0
        self.saved = study.keeps
        self.growth = Growth()
        self.closed = threading.Event()
        self._cancelled = threading.Event()
        self._labels: ObjectLabels | None = None
        self._window: tuple[float, float] | None = None

    @property
    def labels(self) -> ObjectLabels:
        """The names and colors of the objects."""
        if self._labels is None:
            file = self.study.file
            self._labels = ObjectLabels(None if file is None else file.with_suffix(".labels.json"))
        return self._labels

    def described(self) -> Reply:
        """All that the page has to know to show the study; its masks come separately."""
        study, image = self.study, self.study.image
        session = study.session
        low, high = self._shown_window()
        return {
            "id": study.id,
            "name": study.name,
            "shape": list(image.grid),
            "color": image.color,
            "type": voxel_type(image.array, image.color),
            "spacing": list(image.spacing),
            "spaced": image.spaced,
            "affine": image.affine.tolist() if image.positioned else None,
            "modality": study.modality,
            "window": {"low": low, "high": high},
            "notes": list(study.notes),
            "resumed": study.resumed,
            "formats": self._formats(),
            **self._standing(session),
        }

    def _shown_window(self) -> tuple[float, float]:
        """The values that become black and white: the page begins with what the model sees."""
        if self._window is None:
            image, study = self.study.image, self.study
            values = image.array if image.is_volume else image.array[np.newaxis]
            shown = _core.resolve_window(
                values, study.window or "", study.modality, image.color, image.hounsfield, tuple(image.padding)
            )
            low, high = shown.darkest, shown.brightest
            if shown.unchanged:
                low, high = (0, 255) if image.array.dtype == np.uint8 else (values.min(), values.max())
            self._window = float(low), float(max(high, low + 1e-6))
        return self._window

    def _formats(self) -> list[str]:
        formats = ["nifti", "nrrd", "mha", "npz"]
        if isinstance(self.study.image.source, DicomSource):
            formats.append("dicomseg")
        return formats if self.study.image.is_volume else [*formats, "png"]

    def _standing(self, session: Session) -> Reply:
        return {
            "revision": self.revision,
            "saved": self.saved,
            "undo": session.undo_steps,
            "redo": session.redo_steps,
            "objects": [
                {
                    "key": item.name,
                    "name": self.labels.name(item.name),
                    "color": self.labels.color(item.name),
                    "locked": item.locked,
                    "voxels": item.voxels,
                    "ml": self._ml(item.voxels),
                    "box": item.box,
                    "prompts": item.prompts,
                }
                for item in session.objects
            ],
        }

    def _ml(self, voxels: int) -> float | None:
        image = self.study.image
        return voxels * float(np.prod(image.spacing)) / 1000 if image.is_volume and image.spaced else None

    def masks(self) -> Reply:
        """All masks, as of one revision."""
        session = self.study.session
        sent = [
            sent_mask(item.name, session.mask(item.name, item.box), item.box) for item in session.objects if item.box
        ]
        return {**self._standing(session), "masks": sent}

    def step(self, change: Callable[[Session], VoxelBox | None], only: str | None = None) -> Reply:
        """Makes a change, and tells what it changed.

        Args:
            change: returns the box of the changed voxels.
            only: the one object whose mask it can change; None = any.
        """
        session = self.study.session
        before = {item.name: item.box for item in session.objects}
        changed = change(session)
        self.revision += 1
        sent = [
            sent_mask(item.name, session.mask(item.name, changed), changed)
            for item in session.objects
            if changed is not None
            and only in (None, item.name)
            and (overlap(changed, item.box) or overlap(changed, before.get(item.name)))
        ]
        return {**self._standing(session), "changed": changed, "masks": sent}

    def prompt(self, prompt: bodies.AnyPrompt) -> Reply:
        """Draws. Raises as the methods of Session do."""
        known = [item.name for item in self.study.session.objects]
        if prompt.object not in known and len(known) >= _OBJECTS:
            raise InvalidArgument(f"object: got one more than {_OBJECTS}, expected at most that many; remove some")

        def drawn(session: Session) -> VoxelBox | None:
            changed = self._drawn(session, prompt)
            if prompt.object not in known:
                self.labels.forget_name(prompt.object)
            return changed

        return self.step(drawn, prompt.object)

    def _drawn(self, session: Session, prompt: Any) -> VoxelBox | None:
        if isinstance(prompt, bodies.Paint):
            return self._painted(session, prompt)
        where = (prompt.slice, prompt.axis)
        if isinstance(prompt, bodies.Box):
            return session.add_box(prompt.object, prompt.box, *where)
        if isinstance(prompt, bodies.Click):
            return session.add_click(prompt.object, prompt.point, prompt.positive, *where)
        if isinstance(prompt, bodies.Scribble):
            return session.add_scribble(prompt.object, prompt.line, prompt.positive, *where)
        if isinstance(prompt, bodies.Lasso):
            return session.add_lasso(prompt.object, prompt.outline, *where)
        return session.add_line(prompt.object, prompt.line, *where)

    def _painted(self, session: Session, paint: bodies.Paint) -> VoxelBox | None:
        grid = self.study.image.grid
        shape = grid if len(grid) == 3 else (1, *grid)
        x0, y0, z0, x1, y1, z1 = paint.box
        if not (x0 <= x1 < shape[2] and y0 <= y1 < shape[1] and z0 <= z1 < shape[0]):
            raise InvalidArgument(f"box: got {paint.box}, expected x0, y0, z0, x1, y1, z1 inside the image {shape}")
        stroke = mask_of(paint.runs, (z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1))
        known = {item.name for item in session.objects}
        kept = paint.object in known and not paint.replace
        mask = session.mask(paint.object) if kept else np.zeros(grid, dtype=bool)
        inside = mask.reshape(shape)[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1]
        if paint.erase:
            inside &= ~stroke
        else:
            inside |= stroke
        return session.add_mask(paint.object, mask)

    def preview(self, asked: bodies.Preview) -> Reply:
        """The runs of a plane that a positive click of a new object would set, or None. Any thread."""
        session = self.study.opened
        mask = None if session is None else session.preview_click(asked.point, asked.slice, asked.axis)
        return {"runs": None if mask is None else runs_of(mask)}

    def propagate(self, asked: bodies.Propagate) -> Reply:
        """Carries an object through the volume; raises as Session.propagate, and Cancelled before the first plane.

        The reply's `reached` has the planes that were done and those that were to be: fewer when the time was up or,
        then `cancelled`, when cancel() was called.
        """
        self._cancelled.clear()
        reached = {"done": 0, "total": 0, "cancelled": False}
        before = {item.name: item.box for item in self.study.session.objects}
        revision = self.revision

        def told(done: int, total: int) -> None:
            reached.update(done=done, total=total)
            self.growth.standing = {"object": asked.object, "done": done, "total": total}

        def grown(index: int, mask: NDArray[np.bool_]) -> bool:
            self.growth.add(revision, asked.object, before.get(asked.object), asked.axis, index, mask)
            reached["cancelled"] = self._stopped()
            return not reached["cancelled"]

        options = asked.model_dump(exclude={"object", "seconds"})
        options["seconds"] = min(asked.seconds or _LONGEST_PROPAGATION, _LONGEST_PROPAGATION)
        # What was reached is kept; where nothing was yet, the call ends at once.
        options["cancelled"] = lambda: self._stopped() and not reached["done"]
        try:
            reply = self.step(
                lambda session: session.propagate(asked.object, progress=told, reached=grown, **options), asked.object
            )
        finally:
            self.growth.end()
        return {**reply, "reached": reached}

    def _stopped(self) -> bool:
        return self._cancelled.is_set() or self.closed.is_set()

    def cancel(self) -> None:
        """Ends the propagation that is running, if one is. Any thread."""
        self._cancelled.set()

    def change_object(self, key: str, change: bodies.ObjectChange) -> Reply:
        """Names, colors, locks. InvalidArgument for an unknown object."""
        self.check_object(key)
        name = None if change.name is None else printable_name(change.name)  # before anything is changed
        if change.locked is not None:
            self.study.session.lock(key, change.locked)
        self.labels.change(key, name, change.color)
        self.revision += 1
        return {**self._standing(self.study.session), "changed": None, "masks": []}

    def check_object(self, key: str) -> None:
        """InvalidArgument if there is no such object."""
        if key not in {item.name for item in self.study.session.objects}:
            raise InvalidArgument("object: got an unknown one, expected one of the study's")

    def save(self) -> None:
        """Writes the session and the labels. Raises InvalidArgument when that fails, of which an event tells, too."""
        if self.closed.is_set():
            return
        with self._saving():
            self.labels.save()
            self.study.save()

    def close(self) -> None:
        """Saves, and lets the session go. Raises as save(), and then the study stays open."""
        with self._saving():
            self.labels.save()
            self.study.close()
        self.closed.set()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            self.saved = False
            log_event("session_not_saved", level=logging.ERROR, study=self.study.id, error=type(error).__name__)
            raise
        self.saved = self.study.keeps


def voxel_type(array: np.ndarray[Any, Any], color: bool) -> str:
    """The type in which values are sent: their own, and uint8 for color of any depth."""
    return "uint8" if color else array.dtype.name
