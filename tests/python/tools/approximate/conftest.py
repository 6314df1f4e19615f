# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the tests of `certify` share."""

from pathlib import Path

import numpy as np
import pytest
from certify_stand_in import HEIGHT, WIDTH, StandIn

from medsam_engine_tools.approximate import certify as certify_module


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    """The stand-ins that `certify` makes, as it makes them."""
    made: list[StandIn] = []
    monkeypatch.setattr(StandIn, "made", made)
    monkeypatch.setattr(certify_module, "Engine", StandIn)
    return made


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A micrograph with two objects, and a volume of which slices 2 to 5 are labeled."""
    folder = tmp_path / "images"
    folder.mkdir()
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[0:25, 0:20] = 1  # as the first box: 500 pixels
    truth[26:28, 30:40] = 2
    np.savez(
        folder / "2DBox_Microscopy_a.npz",
        imgs=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        boxes=np.array([[0, 0, 19, 24], [30, 26, 39, 27]]),
        gts=truth,
    )
    labels = np.zeros((8, HEIGHT, WIDTH), np.uint16)
    labels[2:6, 0:25, 0:20] = 3
    labels[3, 28:30, 30:35] = 7
    np.savez(
        folder / "3DBox_MR_b.npz",
        imgs=np.arange(8 * HEIGHT * WIDTH).reshape(8, HEIGHT, WIDTH).astype(np.uint16),
        boxes=np.array([[0, 0, 2, 19, 24, 5], [30, 28, 3, 34, 29, 3]]),
        gts=labels,
        spacing=np.ones(3),
    )
    return folder
