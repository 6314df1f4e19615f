# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A session on the tiny model, whose mask is the box that it is asked for, and a mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from numpy.typing import NDArray

from medsam_engine_napari.session_controller import SessionController

TINY = Path(__file__).resolve().parents[3] / "tests" / "data" / "tiny_bundle"
SHAPE = (5, 24, 32)


@dataclass
class Mouse:
    """What napari hands to mouse callbacks."""

    type: str
    position: tuple[float, ...]
    pos: NDArray[np.float64]
    button: int = 1
    modifiers: list[str] = field(default_factory=list)
    is_dragging: bool = False
    handled: bool = False


def drag(layer: Layer, data: Sequence[Sequence[float]], button: int = 1, modifiers: Sequence[str] = ()) -> None:
    """Presses at the first of the data coordinates, moves to the others and lets go, in world coordinates."""
    world = [tuple(layer.data_to_world(point)) for point in data]
    canvas = [10.0 * np.array(point[-2:]) for point in data]
    last = Mouse("mouse_press", world[0], canvas[0], button, list(modifiers))
    mouse_press_callbacks(layer, ReadOnlyWrapper(last))  # napari puts each later event into the first one's wrapper
    for position, pos in zip(world[1:], canvas[1:], strict=True):
        last = Mouse("mouse_move", position, pos, button, list(modifiers), is_dragging=True)
        mouse_move_callbacks(layer, ReadOnlyWrapper(last))
    release = Mouse("mouse_release", last.position, last.pos, button, list(modifiers))
    mouse_release_callbacks(layer, ReadOnlyWrapper(release))


class HeardController(SessionController):
    """One that keeps what it says to the user."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(viewer)
        self.lines: list[str] = []
        self.said.connect(self.lines.append)


def lines(controller: SessionController) -> list[str]:
    """What was said to the user."""
    assert isinstance(controller, HeardController)
    return controller.lines


def opened(controller: SessionController, values: NDArray[Any], **given: Any) -> Image:
    """A session on a layer of these values."""
    layer = controller.viewer.add_image(values, **given)
    controller.open(layer, TINY)
    assert controller.session is not None, lines(controller)
    return layer
