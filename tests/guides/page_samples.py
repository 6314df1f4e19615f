# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The files that the pages name, synthesized: what the reader of a page is supposed to have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python" / "support"))
from dicom_builder import straight, write_series

# Boxes of README's and the guides' commands: an object lies in each.
BOXES = ((119, 188, 184, 249), (289, 197, 346, 251), (30, 20, 90, 70))


def make_samples(folder: Path, bundle: Path) -> None:
    """Makes slice.png, scan.nii.gz, series/, cases/, truth/ and path/to/bundle in `folder`."""
    (folder / "path" / "to").mkdir(parents=True)
    (folder / "path" / "to" / "bundle").symlink_to(bundle)
    y, x = np.mgrid[:300, :400]
    image = np.full((300, 400), 30, np.uint8)
    for x0, y0, x1, y1 in BOXES:
        image[((2 * x - x0 - x1) / (x1 - x0)) ** 2 + ((2 * y - y0 - y1) / (y1 - y0)) ** 2 < 1] = 200
    Image.fromarray(image).save(folder / "slice.png")
    scan = np.random.default_rng(0).integers(-200, 0, (45, 180, 200)).astype(np.int16)
    scan[1:5, 20:71, 30:91] += 150
    scan[10:41, 80:161, 120:191] += 250
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(scan), str(folder / "scan.nii.gz"))
    write_series(folder / "series", scan[:6, :96, :128], straight(6, 2.0))
    for name in ("cases", "truth"):
        (folder / name).mkdir()
    np.savez(folder / "cases" / "2DBox_a.npz", imgs=image, boxes=[BOXES[0]])
    np.savez(folder / "truth" / "2DBox_a.npz", gts=(image > 100).astype(np.uint8), spacing=[1.0, 1.0, 1.0])


def readme_names() -> dict[str, Any]:
    """README's names for what its reader has: `image`, `boxes`, `volume` and `boxes_3d`, from the current folder."""
    image = np.asarray(Image.open("slice.png"))
    names: dict[str, Any] = {"image": image, "boxes": np.array(BOXES[:2]), "volume": np.stack([image[:, :384]] * 3)}
    return names | {"boxes_3d": np.array([[*BOXES[0][:2], 0, *BOXES[0][2:], 2]])}
