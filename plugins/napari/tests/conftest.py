# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A viewer without a window, and a small volume that has something to find."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray
from viewer_mouse import SHAPE, HeardController

from medsam_engine_napari.session_controller import SessionController


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def volume() -> NDArray[np.uint8]:
    values: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 60, SHAPE).astype(np.uint8)
    values[1:4, 5:14, 6:19] += 150
    return values


@pytest.fixture
def controller(viewer: ViewerModel) -> SessionController:
    made: SessionController = HeardController(viewer)
    return made
