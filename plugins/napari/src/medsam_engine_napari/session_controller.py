# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A session on one image layer, without Qt: what the panel's buttons, keys and strokes do."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from numpy.typing import ArrayLike
from psygnal import Signal

from medsam_engine import Engine, Error, InvalidArgument, Session, SessionObject
from medsam_engine_napari.calls import Answer, Run, run_now
from medsam_engine_napari.image_planes import TRANSFORM, Plane, copy_transform, pixels, shown_plane, spacing
from medsam_engine_napari.object_table import ListedObject, ObjectTable, relabeled


class SessionController:
    """One session, its layer of labels, and the object that prompts are for.

    All methods are for the thread of the viewer. What takes time goes through `run`; an error of the family does not
    leave a method but is told by `said`, and the session is as it was.

    Args:
        viewer: the viewer; a ViewerModel without a window will do.
        run: runs the session's calls, in the order in which they were made.

    Attributes:
        changed: emitted when the objects, the current one or the sign may have changed.
        said: emitted with a line for the user.
        positive: the sign of the next click or scribble.
        current: the object that prompts are for; None without a session.
        labels: the layer of the masks; None without a session.
    """

    changed = Signal()
    said = Signal(str)

    def __init__(self, viewer: ViewerModel, run: Run = run_now) -> None:
        self.viewer = viewer
        self.positive = True
        self.current: ListedObject | None = None
        self.labels: Labels | None = None
        self.layer: Image | None = None
        self.session: Session | None = None
        self._run = run
        self._engine: tuple[str, Engine] | None = None
        self._table = ObjectTable()
        self._found: list[SessionObject] = []
        self._stale = False
        self._steps: list[float] = []  # the session's spacing
        self._stop = Event()
        viewer.layers.events.removed.connect(self._layer_removed)

    # ---- The session -------------------------------------------------------------------------------------------------

    def open(
        self, layer: Image, bundle: str | os.PathLike[str], window: str | None = None, modality: str | None = None
    ) -> None:
        """Begins a session on an image layer; the layer of labels of the one before stays.

        Args:
            layer: gray or RGB image, or gray volume.
            bundle: the model's folder.
            window: as in Session.
            modality: as in Session.
        """
        try:
            source, values, steps = layer.data, pixels(layer), spacing(layer)
        except InvalidArgument as error:
            self.said.emit(str(error))
            return

        def begin() -> tuple[Engine, Session]:
            held = self._engine
            engine = held[1] if held and held[0] == os.fspath(bundle) else Engine(bundle, precision="auto")
            return engine, Session(engine, values, steps, window, modality)

        def begun(made: tuple[Engine, Session]) -> None:
            self._engine = os.fspath(bundle), made[0]
            if layer.data is not source or spacing(layer) != steps:
                self.said.emit(f"layer {layer.name!r}: its values or its scale changed meanwhile; press Open again")
                return
            self._steps = steps
            self._begun(layer, made[1], values.shape[: layer.ndim])

        self._run(begin, begun, self._failed)

    def close(self) -> None:
        """Ends the session; the layer of labels stays, for the user to edit and save."""
        if self.layer is not None:
            for name in TRANSFORM:
                getattr(self.layer.events, name).disconnect(self._layer_moved)
            self.layer.events.data.disconnect(self._layer_data_changed)
        if self.labels is not None:
            self.labels.editable = True
        self.session = self.layer = self.labels = self.current = None
        self._found, self._stale = [], False
        self.changed.emit()

    def plane(self) -> Plane:
        """The plane that the viewer shows.

        Raises:
            InvalidArgument: there is no session, the layer's values or voxel sizes are others now, or no plane is
                shown.
        """
        _, layer = self._open()
        return shown_plane(layer, self.viewer.dims)

    # ---- Prompts -----------------------------------------------------------------------------------------------------

    def add_click(self, plane: Plane, point: ArrayLike, positive: bool) -> None:
        """A click at a point (2,) of a plane, x first, as napari counts: the image begins at -0.5."""
        pixel = plane.pixel(point)
        if pixel is None:
            self.said.emit("click: it lies outside of the image; click on the object")
        else:
            self._prompt(lambda session, key: session.add_click(key, pixel, positive, **plane.arguments))

    def add_box(self, plane: Plane, corners: ArrayLike) -> None:
        """A box around points (N, 2) of a plane, cut to the image."""
        box = plane.box(corners)
        if box is None:
            self.said.emit("box: it lies outside of the image; draw it around the object")
        else:
            self._prompt(lambda session, key: session.add_box(key, box, plane.slice, plane.axis or 0))

    def add_scribble(self, plane: Plane, line: ArrayLike, positive: bool) -> None:
        """A scribble through points (N, 2) of a plane; what lies outside of the image is left out."""
        inside = [pixel for pixel in map(plane.pixel, np.asarray(line, np.float64)) if pixel is not None]
        if not inside:
            self.said.emit("scribble: it lies outside of the image; draw it through the object")
        else:
            self._prompt(lambda session, key: session.add_scribble(key, inside, positive, **plane.arguments))

    def add_lasso(self, plane: Plane, outline: ArrayLike) -> None:
        """An outline (N, 2) in a plane; what lies outside of the image is moved to its edge."""
        points = np.asarray(outline, np.float64)
        if plane.box(points) is None:
            self.said.emit("lasso: it lies outside of the image; draw it around the object")
            return
        edge = np.clip(points, 0, np.asarray(plane.shape) - 1)
        self._prompt(lambda session, key: session.add_lasso(key, edge, **plane.arguments))

    def propagate(
        self,
        first: int | None = None,
        last: int | None = None,
        distance: float | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Carries the object along the axis across the plane that is shown; arguments as in Session.propagate.

        `progress` is called on the thread that runs the call. `cancel` ends it.
        """
        try:
            axis = self.plane().axis
        except InvalidArgument as error:
            self.said.emit(str(error))
            return
        if axis is None:
            self.said.emit("propagate: got an image, expected a volume")
            return
        stop = self._stop
        self._prompt(
            lambda session, key: session.propagate(
                key, axis=axis, first=first, last=last, distance=distance, progress=progress, cancelled=stop.is_set
            )
        )

    def cancel(self) -> None:
        """Ends propagation, now and where it waits; the session stays as it was before."""
        self._stop.set()
        self._stop = Event()

    def toggle_sign(self) -> None:
        """Positive becomes negative, and vice versa."""
        self.positive = not self.positive
        self.changed.emit()

    # ---- Objects and steps -------------------------------------------------------------------------------------------

    @property
    def objects(self) -> list[tuple[ListedObject, bool, int]]:
        """The objects of the list, each with whether it is locked and its number of voxels."""
        state = {each.name: (each.locked, each.voxels) for each in self._found}
        return [(each, *state.get(each.key, (False, 0))) for each in self._table.listed(self._found)]

    def new_object(self, name: str = "") -> None:
        """Makes a new object the current one. The session has it from its first prompt on."""
        self._guarded(lambda: self.select(self._table.add(name)))

    def select(self, chosen: ListedObject) -> None:
        """Makes an object the current one."""
        self.current = chosen
        if self.labels is not None:
            self.labels.selected_label = chosen.label
            self._tell_names()
        self.changed.emit()

    def rename(self, name: str) -> None:
        """Renames the current object."""
        if (renamed := self.current) is not None:
            self._guarded(lambda: self._table.rename(renamed, name))
            self._tell_names()
            self.changed.emit()

    def lock(self, locked: bool) -> None:
        """Locks or unlocks the current object."""
        self._prompt(lambda session, key: session.lock(key, locked))

    def reset(self) -> None:
        """Takes all prompts and the mask from the current object."""
        self._prompt(
            lambda session, key: session.remove(key) if key in {each.name for each in session.objects} else None
        )

    def remove(self) -> None:
        """Removes the current object; undo brings it back."""
        if self.current is None:
            return
        removed = self.current
        removed.kept = False
        self.reset()
        left = [each for each, _, _ in self.objects if each is not removed]
        self.select(left[-1] if left else self._table.add())

    def undo(self) -> None:
        """Takes back the session's last step."""
        self._step(lambda session: session.undo())

    def redo(self) -> None:
        """Does it again."""
        self._step(lambda session: session.redo())

    def toggle_masks(self) -> None:
        """Hides or shows the masks."""
        if self.labels is not None:
            self.labels.visible = not self.labels.visible

    # ---- Inside ------------------------------------------------------------------------------------------------------

    def _open(self) -> tuple[Session, Image]:
        if self.session is None or self.layer is None:
            raise InvalidArgument("session: got none, expected one; choose an image layer and press Open")
        if self._stale:
            raise InvalidArgument(
                f"layer {self.layer.name!r}: got other values since the session was opened; press Open again"
            )
        # An offset or a turn may change: strokes pass the transform as it is. Sizes are the model's and the distances'.
        if not np.allclose(steps := spacing(self.layer), self._steps, rtol=1e-6, atol=0):
            raise InvalidArgument(
                f"layer {self.layer.name!r}: got voxels of {steps} since the session was opened with {self._steps}; "
                "set the scale back or press Open again"
            )
        return self.session, self.layer

    def _prompt(self, call: Callable[[Session, str], object]) -> None:
        if (current := self.current) is None:
            self.said.emit("object: got none, expected one; choose an image layer and press Open")
            return
        key = current.key
        self._step(lambda session: call(session, key))

    def _step(self, call: Callable[[Session], object]) -> None:
        try:
            session, _ = self._open()
        except InvalidArgument as error:
            self.said.emit(str(error))
            return

        def work() -> Answer:  # all of the session's calls: the viewer's thread never waits for one
            call(session)
            found = session.objects
            return Answer(found, relabeled(found, session.labels()))

        self._run(work, lambda answer: self._show(session, answer), self._failed)

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except InvalidArgument as error:
            self.said.emit(str(error))

    def _failed(self, error: Error) -> None:
        self.said.emit(str(error))
        self.changed.emit()

    def _begun(self, layer: Image, session: Session, shape: tuple[int, ...]) -> None:
        self.close()
        if layer not in self.viewer.layers:
            self.said.emit(f"layer {layer.name!r}: it was removed while the session was opened")
            return
        self.layer, self.session, self._table = layer, session, ObjectTable()
        self.labels = Labels(np.zeros(shape, np.uint16), name=f"{layer.name} objects")
        copy_transform(layer, self.labels)
        self.viewer.add_layer(self.labels)
        self.labels.editable = False  # painting would be lost with the next prompt; after close() it is free
        for name in TRANSFORM:
            getattr(layer.events, name).connect(self._layer_moved)
        layer.events.data.connect(self._layer_data_changed)
        self.select(self._table.add())

    def _show(self, session: Session, answer: Answer) -> None:
        """Writes what a step changed into the layer of labels."""
        if session is not self.session or self.labels is None:
            return  # closed while the step ran
        self._found = answer.found
        self.labels.data[...] = answer.labels  # all: whose a voxel is that several cover may change far from a prompt
        self.labels.refresh(extent=False)
        self.changed.emit()

    def _tell_names(self) -> None:
        """The names by label, which napari shows in its status bar."""
        if self.labels is not None:
            names = self._table.names()
            self.labels.features = {"index": [0, *names], "object": ["", *names.values()]}

    def _layer_moved(self) -> None:
        if self.layer is not None and self.labels is not None:
            copy_transform(self.layer, self.labels)

    def _layer_data_changed(self) -> None:
        self._stale = True
        self.said.emit("session: the layer's values have changed; press Open to begin again with these")

    def _layer_removed(self, event: Any) -> None:
        if event.value is self.layer or event.value is self.labels:
            self.close()
            self.said.emit("session: its layer was removed; choose an image layer and press Open")
