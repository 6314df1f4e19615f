# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Strokes of the mouse on a layer of their own, which become prompts when the button is let go."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from medsam_engine import InvalidArgument
from medsam_engine_napari.image_planes import Plane, copy_transform
from medsam_engine_napari.session_controller import SessionController

CLICK_DISTANCE = 4.0  # pixels of the screen; a shorter stroke is a click, as on napari's own Points layer
POSITIVE, NEGATIVE = "#00c853", "#ff1744"


class Tool(Enum):
    """What a stroke means."""

    PAN = "pan and zoom"
    POINT = "click"
    BOX = "box"
    SCRIBBLE = "scribble"
    LASSO = "lasso"


class PromptDrawing:
    """The layer on which prompts are drawn; they are drawn while it is the active one.

    A stroke that moves becomes what the tool says, a short one a click (but for the lasso). The right button and Shift
    reverse the sign of a click or scribble. The plane is the one shown when the button went down.

    Args:
        controller: whose session is prompted.
        tool: the tool in hand.

    Attributes:
        labels: the layer of the session that it was made for.
    """

    def __init__(self, controller: SessionController, tool: Tool = Tool.BOX) -> None:
        if controller.layer is None:
            raise InvalidArgument("session: got none, expected one before prompts are drawn")
        self._controller = controller
        self.labels = controller.labels
        self.layer = Shapes(ndim=controller.layer.ndim, name="prompts", face_color="transparent", edge_width=1)
        self._follow()
        for name in ("scale", "translate", "rotate", "shear", "affine"):
            getattr(controller.layer.events, name).connect(self._follow)
        controller.viewer.add_layer(self.layer)
        self.layer.mouse_drag_callbacks.append(self._drag)
        self.tool = tool

    @property
    def tool(self) -> Tool:
        """The tool in hand."""
        return self._tool

    @tool.setter
    def tool(self, tool: Tool) -> None:
        self._tool = tool
        self.layer.mode = "pan_zoom"  # napari's own tools would add shapes
        self.layer.mouse_pan = tool is Tool.PAN
        self._controller.viewer.layers.selection.active = self.layer

    def _follow(self) -> None:
        if self._controller.layer is not None:
            copy_transform(self._controller.layer, self.layer)

    def _drag(self, layer: Shapes, event: Any) -> Iterator[None]:
        """Napari's protocol: up to the first yield on press, then once per move, then on release."""
        if self._tool is Tool.PAN:
            return
        try:
            plane = self._controller.plane()
        except InvalidArgument as error:
            self._controller.said.emit(str(error))
            return
        opposite = event.button == 2 or "Shift" in event.modifiers
        positive = self._controller.positive is not opposite
        begin, data = np.asarray(event.pos, float), [self._data(plane, event)]
        farthest = 0.0
        yield
        while event.type == "mouse_move":
            data.append(self._data(plane, event))
            farthest = max(farthest, float(np.linalg.norm(np.asarray(event.pos, float) - begin)))
            if farthest >= CLICK_DISTANCE:
                self._preview(plane, data, positive)
            yield
        layer.data = []
        if self._controller.labels is not self.labels:
            self._controller.said.emit("prompt: another session was opened meanwhile; draw on its layer")
            return
        self._finish(plane, plane.inside(data), positive, farthest < CLICK_DISTANCE)

    def _finish(self, plane: Plane, points: NDArray[np.float64], positive: bool, click: bool) -> None:
        controller = self._controller
        if self._tool is Tool.LASSO:
            if len(points) < 3:
                controller.said.emit("lasso: got a click, expected a line around the object; hold the button and draw")
            else:
                controller.add_lasso(plane, points)
        elif click or self._tool is Tool.POINT:
            controller.add_click(plane, points[0], positive)
        elif self._tool is Tool.BOX:
            controller.add_box(plane, points[[0, -1]])
        else:
            controller.add_scribble(plane, points, positive)

    def _data(self, plane: Plane, event: Any) -> NDArray[np.float64]:
        """The data coordinates of the mouse, on the plane."""
        data = np.array(self.layer.world_to_data(event.position), np.float64)
        if plane.axis is not None and plane.slice is not None:
            data[plane.axis] = plane.slice
        return data

    def _preview(self, plane: Plane, data: list[NDArray[np.float64]], positive: bool) -> None:
        if self._tool is Tool.POINT:
            return
        vertices, kind = np.array(data), "path"
        if self._tool is Tool.BOX:
            vertices, kind = np.array([data[0], data[0], data[-1], data[-1]]), "rectangle"
            x, y = plane.across
            vertices[1, x], vertices[3, x] = data[-1][x], data[0][x]
            vertices[1, y], vertices[3, y] = data[0][y], data[-1][y]
        self.layer.data = []
        signed = self._tool is Tool.SCRIBBLE
        color = POSITIVE if positive or not signed else NEGATIVE
        self.layer.add(vertices, shape_type=kind, edge_color=color, face_color="transparent")
