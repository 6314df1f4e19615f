# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/qt_annotator offscreen: a dragged box, its mask, and the picture of the window."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from PIL import Image

from medsam_engine import Engine

Program = Callable[..., CompletedProcess[str]]

EDGE = (0, 220, 255)  # the outline's color, and the frame's
FRAME = (255, 200, 0)


def drag(
    program: Program, bundle: Path, file: Path, box: tuple[int, ...], picture: Path
) -> tuple[dict[str, float], NDArray[np.uint8]]:
    words = ",".join(map(str, box))
    result = program("qt_annotator", bundle, file, "--precision", "f32", "--drag", words, "--save", picture)
    assert result.returncode == 0, result.stderr
    numbers: dict[str, float] = json.loads(result.stdout)
    return numbers, np.asarray(Image.open(picture).convert("RGB"))


def near(picture: NDArray[np.uint8], color: tuple[int, ...]) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = np.all(np.abs(picture.astype(int) - color) <= 3, axis=-1)
    return within


def test_the_mask_follows_the_box(
    program: Program,
    engine: Engine,
    bundle: Path,
    image: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    tmp_path: Path,
) -> None:
    Image.fromarray(image).save(tmp_path / "image.png")
    numbers, picture = drag(program, bundle, tmp_path / "image.png", box, tmp_path / "window.png")
    mask = engine.predict(engine.encode(image), box=box).mask(0)
    assert numbers["area"] == mask.sum()
    # 20 moves: 15 one by one, then five at once, of which only the first, already at work, and the last are answered.
    assert numbers["masks"] == 17
    assert numbers["mask_ms"] > 0

    # The frame is where the box is, so it tells the scale; the outline lies where the mask's edge does.
    rows, columns = np.nonzero(near(picture, FRAME))
    scale = (columns.max() - columns.min()) / (box[2] + 1 - box[0])
    assert (rows.max() - rows.min()) / (box[3] + 1 - box[1]) == pytest.approx(scale, rel=0.02)
    edge_rows, edge_columns = np.nonzero(near(picture, EDGE))
    ys, xs = np.nonzero(mask)
    for end, got, start, wanted in (
        ("left", edge_columns.min(), columns.min(), xs.min() - box[0]),
        ("right", edge_columns.max(), columns.min(), xs.max() + 1 - box[0]),
        ("top", edge_rows.min(), rows.min(), ys.min() - box[1]),
        ("bottom", edge_rows.max(), rows.min(), ys.max() + 1 - box[1]),
    ):
        assert abs(got - (start + wanted * scale)) < 1.5 * scale, end


def test_the_middle_slice_of_a_volume(program: Program, engine: Engine, bundle: Path, tmp_path: Path) -> None:
    z, y, x = np.mgrid[:6, :64, :80]
    ball = (x - 40) ** 2 + (y - 32) ** 2 + (4 * (z - 3)) ** 2 < 18**2
    volume = np.where(ball, 1500, 300).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(volume), str(tmp_path / "volume.nii.gz"))
    numbers, picture = drag(program, bundle, tmp_path / "volume.nii.gz", (20, 12, 60, 52), tmp_path / "window.png")
    pixels = np.where(ball, 255, 0).astype(np.uint8)  # 0.5 to 99.5 percentile of two values
    assert numbers["area"] == engine.predict(engine.encode(pixels[3]), box=(20, 12, 60, 52)).mask(0).sum()
    assert near(picture, EDGE).any()


def test_what_cannot_be_opened_is_said(program: Program, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.nii").write_bytes(b"not NIfTI")
    for file in (tmp_path / "absent.png", tmp_path / "broken.nii"):
        result = program("qt_annotator", bundle, file, "--drag", "1,1,9,9", "--save", tmp_path / "window.png")
        assert result.returncode == 1
        assert file.name in result.stderr
