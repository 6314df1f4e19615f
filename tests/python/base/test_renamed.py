# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What was called colour is called color: the old name works for one release, and warns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine.io import MedicalImage
from medsam_engine.windows import apply_window

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def image(**more: Any) -> MedicalImage:
    return MedicalImage(PIXELS, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3), "", Path("x"), **more)


def test_an_image_has_both_names() -> None:
    with pytest.warns(DeprecationWarning, match=r"colour is called color now") as caught:
        old = image(colour=True)
    assert caught[0].filename == __file__
    assert old.color
    assert not replace(old, array=PIXELS[..., 0], color=False).color
    assert old.grid == image(color=True).grid == (2, 3)
    with pytest.warns(DeprecationWarning, match=r"MedicalImage\.colour is called color now"):
        assert old.colour


def test_a_window_takes_both_names() -> None:
    with pytest.warns(DeprecationWarning, match="colour is called color now"):
        assert apply_window(PIXELS, None, colour=True) is PIXELS  # type: ignore[call-arg]  # the old name
    assert apply_window(PIXELS, None, color=True) is PIXELS
    with pytest.raises(TypeError, match="give color"):
        apply_window(PIXELS, None, color=True, colour=True)  # type: ignore[call-arg]  # the old name
