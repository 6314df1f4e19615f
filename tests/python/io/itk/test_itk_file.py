# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NRRD and MetaImage: geometry there and back, also oblique and flipped; 2D, 4D, color; damaged files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import InvalidArgument, io

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
RNG = np.random.default_rng(2)


def oblique() -> list[float]:
    q, r = np.linalg.qr(np.random.default_rng(8).normal(size=(3, 3)))
    return list((q * np.sign(np.diag(r))).ravel())


def volume_file(path: Path, direction: list[float], dtype: str = "int16") -> Any:
    image = sitk.GetImageFromArray(RNG.integers(0, 200, (4, 5, 6)).astype(dtype))
    image.SetSpacing((0.7, 0.8, 3.25))
    image.SetOrigin((-31.0, 12.5, 90.25))
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path))
    return image


DIRECTIONS: dict[str, list[float]] = {
    "identity": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
    "flipped": [-1.0, 0, 0, 0, -1, 0, 0, 0, 1],
    "left-handed": [1.0, 0, 0, 0, -1, 0, 0, 0, 1],
    "sagittal": [0.0, 0, 1, 1, 0, 0, 0, -1, 0],
    "oblique": oblique(),
}


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("target", [".nrrd", ".mha", ".nii.gz", ".nii"])
def test_a_mask_lies_on_its_image(tmp_path: Path, suffix: str, target: str, direction: list[float]) -> None:
    expected = volume_file(tmp_path / f"a{suffix}", direction)
    image = io.read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(image.array, sitk.GetArrayFromImage(expected))
    labels = RNG.integers(0, 4, (4, 5, 6)).astype(np.uint16)
    io.write(tmp_path / f"m{target}", labels, image)
    mask = sitk.ReadImage(str(tmp_path / f"m{target}"))
    assert mask.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), labels)
    np.testing.assert_allclose(mask.GetSpacing(), expected.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(mask.GetOrigin(), expected.GetOrigin(), atol=1e-5)
    np.testing.assert_allclose(mask.GetDirection(), expected.GetDirection(), atol=1e-6)


def test_flat_files_stay_flat(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(RNG.integers(0, 200, (5, 6)).astype("uint16"))
    image.SetSpacing((0.5, 0.25))
    image.SetDirection((0.0, 1.0, -1.0, 0.0))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    read = io.read(tmp_path / "a.mha")
    assert read.grid == (5, 6)
    io.write(tmp_path / "m.nrrd", np.ones((5, 6), np.uint8), read)
    mask = sitk.ReadImage(str(tmp_path / "m.nrrd"))
    assert mask.GetDimension() == 2
    assert mask.GetSpacing() == (0.5, 0.25)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection())


def test_4d_and_components(tmp_path: Path) -> None:
    values = RNG.integers(0, 200, (3, 4, 5, 6)).astype("int16")
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=False), str(tmp_path / "a.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(np.moveaxis(values, 0, -1), isVector=True), str(tmp_path / "c.nrrd"))
    for name in ("a.nrrd", "c.nrrd"):
        with pytest.raises(InvalidArgument, match=r"3 volumes.*--volume"):
            io.read(tmp_path / name)
        np.testing.assert_array_equal(io.read(tmp_path / name, volume=2).array, values[2])


def test_color(tmp_path: Path) -> None:
    values = RNG.integers(0, 255, (4, 5, 6, 3)).astype("uint8")
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=True), str(tmp_path / "a.mha"))
    image = io.read(tmp_path / "a.mha")
    assert image.color
    assert image.grid == (4, 5, 6)
    np.testing.assert_array_equal(image.array, values)


NRRD = """NRRD0004
type: uchar
dimension: 3
space: left-posterior-superior
sizes: 2 2 2
space directions: {directions}
kinds: domain domain domain
encoding: raw
space origin: (0,0,0)

"""


@pytest.mark.parametrize(
    ("directions", "message"),
    [("(1,0,0) (1,0,0) (0,0,1)", "singular|independent"), ("(1,0,0) (0.3,1,0) (0,0,1)", "right angle")],
)
def test_grids_that_are_none(tmp_path: Path, directions: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.nrrd").write_bytes(NRRD.format(directions=directions).encode() + bytes(8))
    with pytest.raises(InvalidArgument, match=message) as caught:
        io.read(tmp_path / "a.nrrd")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_damaged_and_not_finite(tmp_path: Path) -> None:
    volume_file(tmp_path / "a.mha", DIRECTIONS["identity"])
    content = (tmp_path / "a.mha").read_bytes()
    for name, damaged in {"cut.mha": content[:-40], "text.nrrd": b"hello", "empty.mha": b""}.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InvalidArgument) as caught:
            io.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    values = np.zeros((3, 4, 5), np.float32)
    values[1, 1, 1] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "n.nrrd"))
    with pytest.raises(InvalidArgument, match="1 voxels that are NaN"):
        io.read(tmp_path / "n.nrrd")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.nrrd", "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 100000 100000 2\nencoding: raw\n\n"),
        ("a.nrrd", "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 100000 100000 2\nencoding: gzip\n\n"),
        (
            "a.mha",
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nDimSize = 100000 100000 2\n"
            "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
        ),
    ],
)
def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path, name: str, header: str) -> None:
    (tmp_path / name).write_bytes(header.encode() + bytes(1000))
    with pytest.raises(InvalidArgument, match="its data is missing"):
        io.read(tmp_path / name)


@pytest.mark.parametrize("kind", ["HSV-color", "XYZ-color", "vector", "list", "3-vector"])
def test_only_rgb_is_color(tmp_path: Path, kind: str) -> None:
    header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 3 4 2\nencoding: raw\nkinds: {} domain domain\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.format("RGB-color").encode() + bytes(range(24)))
    assert io.read(tmp_path / "a.nrrd").color
    (tmp_path / "a.nrrd").write_bytes(header.format(kind).encode() + bytes(range(24)))
    with pytest.raises(InvalidArgument, match="3 volumes"):
        io.read(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(io.read(tmp_path / "a.nrrd", volume=1).array.ravel(), np.arange(1, 24, 3))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("packed", [False, True])
def test_data_of_another_size_than_the_header_says(
    tmp_path: Path, suffix: str, packed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a type smaller than the data's ITK read the first bytes, and of short data what there was, and printed."""
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(600, dtype=np.int16).reshape(6, 10, 10)), str(path), packed)
    sound = path.read_bytes()
    io.read(path)
    changes = [("MET_SHORT", "MET_CHAR"), ("type: short", "type: int8"), ("DimSize = 10", "DimSize = 9")]
    changes += [("10 10 6", "10 10 5"), ("10 10 6", "10 10 7")]
    for old, new in changes:
        content = sound.replace(old.encode(), new.encode())
        if content == sound:
            continue
        path.write_bytes(content)
        with pytest.raises(InvalidArgument, match="expected"):
            io.read(path)
    assert capfd.readouterr() == ("", "")
