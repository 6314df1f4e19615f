# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The challenge's NPZ files: what is flat and what is a volume, and what is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import InvalidArgument, io


def save(path: Path, **arrays: object) -> Path:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("name", "shape", "spacing", "grid", "modality"),
    [
        ("2DBox_US_a_1.npz", (7, 8, 3), False, (7, 8), "US"),
        ("3DBox_MR_a_1.npz", (7, 8, 3), True, (7, 8, 3), "MR"),  # three columns, not three colors
        ("3DBox_PET_a_1.npz", (4, 7, 8), True, (4, 7, 8), "PT"),
        ("mine.npz", (7, 8, 3), False, (7, 8), ""),
        ("mine.npz", (7, 8, 3), True, (7, 8, 3), ""),
        ("mine.npz", (7, 8), False, (7, 8), ""),
    ],
)
def test_kinds(
    tmp_path: Path, name: str, shape: tuple[int, ...], spacing: bool, grid: tuple[int, ...], modality: str
) -> None:
    values = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    arrays = {"imgs": values, "boxes": np.zeros((0, 4))} | ({"spacing": np.array([1.0, 2.0, 3.0])} if spacing else {})
    image = io.read(save(tmp_path / name, **arrays))
    np.testing.assert_array_equal(image.array, values)
    assert (image.grid, image.modality) == (grid, modality)
    assert image.spacing == ((1.0, 2.0, 3.0) if spacing else (1.0, 1.0, 1.0))
    io.write(tmp_path / "out.npz", np.ones(grid, np.uint16), image)
    with np.load(tmp_path / "out.npz") as written:
        assert written.files == ["segs"]
        assert written["segs"].shape == grid


class Evil:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("unpickled",))


def test_refusals(tmp_path: Path) -> None:
    good = save(tmp_path / "a.npz", imgs=np.zeros((40, 40), np.uint8)).read_bytes()
    (tmp_path / "cut.npz").write_bytes(good[:-30])
    (tmp_path / "text.npz").write_bytes(b"hello")
    cases = {
        tmp_path / "cut.npz": "whole .npz",
        tmp_path / "text.npz": "whole .npz",
        save(tmp_path / "keys.npz", images=np.zeros(3)): "got keys images.*expected imgs",
        save(tmp_path / "object.npz", imgs=np.array([Evil()], dtype=object)): "never loaded",
        save(tmp_path / "shape.npz", imgs=np.zeros(5)): r"shape \(5,\)",
        save(tmp_path / "nan.npz", imgs=np.full((2, 2), np.nan)): "NaN",
        save(tmp_path / "spacing.npz", imgs=np.zeros((2, 2, 2), np.uint8), spacing=np.ones(2)): "2 numbers",
        save(tmp_path / "zero.npz", imgs=np.zeros((2, 2, 2), np.uint8), spacing=np.zeros(3)): "positive mm",
    }
    for path, message in cases.items():
        with pytest.raises(InvalidArgument, match=message) as caught:
            io.read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", ["(100000, 100000, 3)", "(1000000000, 1000000000, 3)", "(4611686018427387904, 16)"])
def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(1000)
    path = tmp_path / "2DBox_US_a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("imgs.npy", array)
    with pytest.raises(InvalidArgument, match="the file is cut off"):
        io.read(path)
