# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes tests/data/npz: small cases as NumPy itself saves them, for tests/cpp/npz/test_npz_case.cpp.

Value i of imgs, in C order, is i * 7 % 251. Run this again only to change them:
    python tests/data/make_npz.py
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent / "npz"


def pixels(shape: tuple[int, ...]) -> np.ndarray:
    return (np.arange(np.prod(shape)) * 7 % 251).reshape(shape)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    boxes = np.array([[0, 1, 3, 4], [1, 1, 4, 5]])
    boxes3d = np.array([[0, 1, 0, 3, 2, 2]])
    np.savez_compressed(
        FOLDER / "2DBox_deflated.npz",
        imgs=pixels((6, 5, 3)).astype(np.uint8),
        boxes=boxes,
        gts=np.zeros((6, 5), np.uint16),
    )
    np.savez(
        FOLDER / "3DBox_fortran.npz",
        imgs=np.asfortranarray(pixels((3, 4, 5)).astype(np.int16)),
        boxes=boxes3d.astype(">f8"),
        spacing=np.ones(3),
    )
    np.savez(FOLDER / "3DBox_rgb_fortran.npz", imgs=np.asfortranarray(pixels((3, 4, 5, 3)).astype("u1")), boxes=boxes3d)
    grey = pixels((6, 5))
    np.savez_compressed(FOLDER / "2DBox_big_endian.npz", imgs=grey.astype(">f4"), boxes=boxes.astype("u1"))
    np.savez_compressed(FOLDER / "2DBox_objects.npz", imgs=grey.astype("u1"), boxes=boxes.astype(object))
    no_boxes = np.zeros((0, 6), np.float16)
    np.savez_compressed(FOLDER / "3DBox_no_boxes.npz", imgs=pixels((3, 4, 5)).astype("<u2"), boxes=no_boxes)
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
        np.savez(FOLDER / f"2DBox_boxes_{kind}.npz", imgs=grey.astype("u1"), boxes=boxes.astype(kind))


if __name__ == "__main__":
    main()
