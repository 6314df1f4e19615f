# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Single DICOM files, most of them pydicom's own: compressed, color, palette, multi-frame, inverted, rescaled."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import InvalidArgument, Unsupported, io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
from dicom_builder import slice_dataset
from pydicom.data import get_testdata_file


def sample(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("MR_small_RLE.dcm", "numpy"),
        ("MR_small_bigendian.dcm", "numpy"),
        ("MR_small_implicit.dcm", "numpy"),
        ("MR_small_jp2klossless.dcm", "openjpeg"),
        ("MR_small_jpeg_ls_lossless.dcm", "jpeg_ls"),
    ],
)
def test_lossless_compressions_give_the_same_values(name: str, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not in a thin installation")
    expected = io.read(sample("MR_small.dcm"))
    image = io.read(sample(name))
    np.testing.assert_array_equal(image.array, expected.array)
    assert image.array.shape == (64, 64)
    assert (image.modality, image.spacing) == ("MR", expected.spacing)
    assert image.positioned


def test_jpeg_lossless() -> None:
    image = io.read(sample("SC_rgb_jpeg_gdcm.dcm"))
    np.testing.assert_array_equal(image.array, io.read(sample("SC_rgb_rle.dcm")).array)


def test_a_compression_without_decoder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unsupported, match=r"JPEG Extended.*decompress") as caught:
        io.read(sample("JPGExtended.dcm"))  # 12 bits, which none of the decoders takes
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == ""


def test_colors_are_rgb() -> None:
    reference = io.read(sample("SC_rgb_rle.dcm"))
    assert reference.color
    assert reference.array.shape == (100, 100, 3)
    assert reference.grid == (100, 100)
    # The file holds bars of pure colors; the first is red (pydicom's documentation of the file).
    np.testing.assert_array_equal(reference.array[5, 50], [255, 0, 0])
    for name in ("SC_ybr_full_422_uncompressed.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm"):
        image = io.read(sample(name))
        assert image.color
        np.testing.assert_allclose(image.array[5, 50].astype(int), [255, 0, 0], atol=3)


def test_palette() -> None:
    image = io.read(sample("examples_palette.dcm"))
    assert image.color
    assert image.array.dtype == np.uint8
    assert image.array.shape == (350, 800, 3)
    dataset = pydicom.dcmread(sample("examples_palette.dcm"))
    index = int(np.frombuffer(dataset.PixelData, np.uint8)[123 * 800 + 400])
    entries = [
        np.frombuffer(getattr(dataset, f"{c}PaletteColorLookupTableData"), "<u2")[index] >> 8
        for c in ("Red", "Green", "Blue")
    ]
    np.testing.assert_array_equal(image.array[123, 400], entries)
    assert any("palette" in note for note in image.notes)


def test_color_frames_without_positions() -> None:
    image = io.read(sample("examples_ybr_color.dcm"))
    assert image.array.shape == (30, 240, 320, 3)
    assert image.is_volume
    assert not image.positioned
    assert any("without positions" in note for note in image.notes)


def save(path: Path, dataset: Any) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    stored = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11, "Modality": "CR"}
    image = io.read(save(tmp_path / "u.dcm", slice_dataset(stored, **tags)))
    np.testing.assert_array_equal(image.array, 4095 - stored.astype(int))
    assert "MONOCHROME1 inverted" in image.notes
    signed = stored.astype(np.int16) - 2000
    image = io.read(save(tmp_path / "s.dcm", slice_dataset(signed, **tags)))
    np.testing.assert_array_equal(image.array, -1 - signed.astype(int))


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1, -1024, np.int16), (2, 0, np.uint16), (0.5, 0.25, np.float32)]
)
def test_rescale(tmp_path: Path, slope: float, intercept: float, dtype: type) -> None:
    stored = np.array([[0, 1, 2], [1000, 4000, 20000]], dtype=np.uint16)
    dataset = slice_dataset(stored, RescaleSlope=slope, RescaleIntercept=intercept)
    image = io.read(save(tmp_path / "a.dcm", dataset))
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, stored.astype(float) * slope + intercept)


def enhanced(positions: list[float], volume: Any) -> Any:
    """An enhanced multi-frame object in the least form that carries a geometry and a rescale rule."""
    dataset = slice_dataset(
        volume[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None, SliceThickness=None
    )
    dataset.NumberOfFrames, dataset.PixelData = len(volume), volume.tobytes()

    def item(**tags: Any) -> Any:
        made = pydicom.Dataset()
        for name, value in tags.items():
            setattr(made, name, value)
        return made

    dataset.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=9.0)],
            PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=-1000)],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[1.0, 2.0, z])]) for z in positions
    ]
    return dataset


def test_multi_frame_geometry(tmp_path: Path) -> None:
    volume = np.random.default_rng(1).integers(0, 2000, (3, 4, 5)).astype(np.uint16)
    image = io.read(save(tmp_path / "up.dcm", enhanced([0.0, 3.0, 6.0], volume)))
    np.testing.assert_array_equal(image.array, volume.astype(int) - 1000)
    assert image.spacing == (0.75, 0.5, 3.0)
    np.testing.assert_array_equal(image.origin, (1.0, 2.0, 0.0))
    # Frames that descend keep their numbers; the grid says that they descend.
    image = io.read(save(tmp_path / "down.dcm", enhanced([6.0, 3.0, 0.0], volume)))
    np.testing.assert_array_equal(image.array, volume.astype(int) - 1000)
    np.testing.assert_array_equal(image.origin, (1.0, 2.0, 6.0))
    np.testing.assert_array_equal(image.affine[:3, 2], (0.0, 0.0, -3.0))
    # Frames in any other order are sorted.
    image = io.read(save(tmp_path / "mixed.dcm", enhanced([3.0, 0.0, 6.0], volume)))
    np.testing.assert_array_equal(image.array, volume[[1, 0, 2]].astype(int) - 1000)
    with pytest.raises(InvalidArgument, match="frame 2"):
        io.read(save(tmp_path / "gap.dcm", enhanced([0.0, 3.0, 12.0], volume)))
    with pytest.raises(InvalidArgument, match="one place"):
        io.read(save(tmp_path / "twice.dcm", enhanced([0.0, 3.0, 3.0], volume)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("liver_1frame.dcm", "segmentation object"),
        ("MR_truncated.dcm", "whole pixel data"),
        ("rtplan.dcm", "no pixels"),
    ],
)
def test_what_is_no_image(name: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        io.read(sample(name))
    assert "\n" not in str(caught.value)


def test_files_without_ending_and_no_dicom(tmp_path: Path) -> None:
    path = tmp_path / "IM000001"
    path.write_bytes(sample("CT_small.dcm").read_bytes())
    assert io.read(path).array.shape == (128, 128)
    (tmp_path / "a.dcm").write_bytes(b"hello")
    with pytest.raises(InvalidArgument, match="DICOM file"):
        io.read(tmp_path / "a.dcm")
    (tmp_path / "b").write_bytes(b"hello")
    with pytest.raises(InvalidArgument, match="none of these"):
        io.read(tmp_path / "b")
