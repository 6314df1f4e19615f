# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs examples/qt_annotator on a script and reads what it said and drew."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from numpy.typing import NDArray
from PIL import Image

Program = Callable[..., CompletedProcess[str]]
State = dict[str, Any]

FRAME = (255, 200, 0)  # the box's
SPACING = (0.75, 0.75, 2.5)  # x, y, z; NIfTI's float32 holds them exactly


def itk_image(values: NDArray[np.int16]) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING)
    image.SetOrigin((-11.0, 7.5, 100.0))
    return image


def run(program: Program, bundle: Path, file: Path, script: str, *options: str) -> dict[str, State]:
    """The state after each step, by the step's text; a step that comes again has a number."""
    result = program("qt_annotator", bundle, file, "--precision", "f32", "--script", script, *options)
    assert result.returncode == 0, result.stderr
    states: dict[str, State] = {}
    for line in result.stdout.splitlines():
        state = json.loads(line)
        key = state["step"]
        times = sum(name.rsplit(" #", 1)[0] == key for name in states)
        states[f"{key} #{times + 1}" if times else key] = state
    return states


def digest(labels: NDArray[Any]) -> str:
    return hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest()


def screenshot(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def near(picture: NDArray[np.uint8], color: tuple[int, ...]) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = np.all(np.abs(picture.astype(int) - color) <= 3, axis=-1)
    return within


def frame_of(picture: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The dragged box on the screen: left, top, right, bottom."""
    rows, columns = np.nonzero(near(picture, FRAME))
    return columns.min(), rows.min(), columns.max(), rows.max()
