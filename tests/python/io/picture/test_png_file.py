# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""PNG files out: right depth, whole or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import InvalidArgument
from medsam_engine.io import read_labels, write_label_map, write_rgb

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")


@pytest.mark.parametrize(("highest", "bits"), [(0, 8), (255, 8), (256, 16), (65535, 16)])
def test_depth_follows_the_labels(tmp_path: Path, highest: int, bits: int) -> None:
    labels = np.zeros((5, 6), np.uint32)
    labels[2, 3] = highest
    assert write_label_map(tmp_path / "m.png", labels) == bits
    with Image.open(tmp_path / "m.png") as written:
        assert written.mode == ("L" if bits == 8 else "I;16")
        np.testing.assert_array_equal(np.asarray(written), labels)


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    for labels in (
        np.full((2, 2), 65536, np.uint32),
        np.zeros((2, 2), np.int64),
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2, 3), np.uint8),
    ):
        with pytest.raises(InvalidArgument, match="labels"):
            write_label_map(tmp_path / "m.png", labels)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for name, message in {"folder.png": "folder", "no/such/m.png": "existing folder", "m.jpg": r"\.png"}.items():
        with pytest.raises(InvalidArgument, match=message):
            write_rgb(tmp_path / name, np.zeros((3, 4, 3), np.uint8))


@pytest.mark.parametrize("reader", ["PIL", "cv2", "imageio.v3", "skimage.io", "SimpleITK"])
@pytest.mark.parametrize("highest", [200, 40000])
def test_other_readers_see_the_label_numbers(tmp_path: Path, reader: str, highest: int) -> None:
    """The reason why masks have no palette: of these only Pillow would give its indices, the others its colors."""
    module = pytest.importorskip(reader)
    labels = np.array([[0, 1, 2], [3, 0, highest]], np.uint16)
    path = str(tmp_path / "m.png")
    write_label_map(path, labels)
    readers: dict[str, Callable[[], Any]] = {
        "PIL": lambda: np.asarray(Image.open(path)),
        "cv2": lambda: module.imread(path, module.IMREAD_UNCHANGED),
        "imageio.v3": lambda: module.imread(path),
        "skimage.io": lambda: module.imread(path),
        "SimpleITK": lambda: module.GetArrayFromImage(module.ReadImage(path)),
    }
    np.testing.assert_array_equal(readers[reader](), labels)


def test_a_palette_is_no_label_map(tmp_path: Path) -> None:
    indexed = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8))
    indexed.putpalette([255, 255, 255, 255, 0, 0, 0, 255, 0])
    indexed.save(tmp_path / "m.png")
    with pytest.raises(InvalidArgument, match="got a color image"):
        read_labels(tmp_path / "m.png")
