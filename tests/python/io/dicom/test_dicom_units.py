# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM values in their units: rescale rules, padding, Hounsfield units or not, spacing or none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, Unsupported, io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import RNG, item, read, save, slice_dataset, stored, straight, write_series
from pydicom.dataelem import DataElement


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_modality_luts(tmp_path: Path, photometric: str) -> None:
    """Signed pixels, a table that begins below 0 and has 12 bits; what lies beside it takes its ends."""
    table = RNG.integers(0, 4096, 300).astype(np.uint16)
    values = RNG.integers(-250, 250, (64, 60)).astype(np.int16)
    lut = item(LUTDescriptor=[300, -150, 12], ModalityLUTType="OD", LUTData=table.tobytes())
    lut["LUTData"].VR = "OW"
    dataset = slice_dataset(values, Modality="CR", PhotometricInterpretation=photometric, ModalityLUTSequence=[lut])
    del dataset.RescaleSlope, dataset.RescaleIntercept
    expected = table[np.clip(values.astype(int) + 150, 0, 299)].astype(int)
    image = read(tmp_path / "a.dcm", dataset)
    np.testing.assert_array_equal(image.array, 4095 - expected if photometric == "MONOCHROME1" else expected)
    lut.LUTData = table[:200].tobytes()
    with pytest.raises(InvalidArgument, match="LUTData"):
        read(tmp_path / "b.dcm", dataset)


def test_a_slope_of_zero(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"RescaleSlope 0 .* remove RescaleSlope"):
        read(tmp_path / "a.dcm", slice_dataset(stored(), RescaleSlope=0, RescaleIntercept=-1024))


@pytest.mark.parametrize(
    ("tags", "slope", "intercept", "missing"),
    [
        ({"RescaleSlope": None, "RescaleIntercept": -1000}, 1, -1000, "RescaleSlope"),
        ({"RescaleSlope": 2, "RescaleIntercept": None}, 2, 0, "RescaleIntercept"),
    ],
)
def test_half_a_rule(tmp_path: Path, tags: dict[str, Any], slope: int, intercept: int, missing: str) -> None:
    values = stored()
    image = read(tmp_path / "a.dcm", slice_dataset(values, Modality="MR", **tags))
    np.testing.assert_array_equal(image.array, values.astype(int) * slope + intercept)
    assert any(missing in note for note in image.notes)


def test_monochrome1_keeps_hounsfield_units(tmp_path: Path) -> None:
    values = stored()
    tags = {"PhotometricInterpretation": "MONOCHROME1", "RescaleIntercept": -1024, "BitsStored": 12, "HighBit": 11}
    image = read(tmp_path / "a.dcm", slice_dataset(values, **tags))
    np.testing.assert_array_equal(image.array, values.astype(int) - 1024)
    assert any("not inverted" in note for note in image.notes)
    image = read(tmp_path / "b.dcm", slice_dataset(values, Modality="DX", **tags))
    np.testing.assert_array_equal(image.array, 4095 - values.astype(int) - 1024)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("tags", "padding", "dtype"),
    [
        ({"PixelPaddingValue": 65535}, [65535], np.uint16),
        ({"PixelPaddingValue": 65535, "BitsStored": 12, "HighBit": 11}, [65535], np.uint16),
        ({"PixelPaddingValue": 5000, "PixelPaddingRangeLimit": 6000}, [5000, 5500, 6000], np.uint16),
        ({"PixelPaddingValue": 6000, "PixelPaddingRangeLimit": 5000}, [5000, 5500, 6000], np.uint16),
        ({"PixelPaddingValue": -2000}, [-2000], np.int16),
        ({"PixelPaddingValue": -32768, "BitsStored": 13, "HighBit": 12}, [-32768], np.int16),
    ],
)
def test_padding(tmp_path: Path, photometric: str, tags: dict[str, Any], padding: list[int], dtype: type) -> None:
    values: NDArray[Any] = stored(top=3000).astype(dtype)
    where = np.zeros(values.shape, bool)
    where[:5] = True
    values[:5] = np.resize(padding, values[:5].shape)
    dataset = slice_dataset(
        values, Modality="DX", PhotometricInterpretation=photometric, RescaleSlope=2, RescaleIntercept=-7, **tags
    )
    image = read(tmp_path / "a.dcm", dataset)
    ((low, high),) = [interval for interval in image.padding if interval is not None]
    values_read = image.array.astype(float)
    np.testing.assert_array_equal((values_read >= low) & (values_read <= high), where)
    plain = slice_dataset(
        values[5:], Modality="DX", PhotometricInterpretation=photometric, RescaleSlope=2, RescaleIntercept=-7,
        **{name: value for name, value in tags.items() if "Padding" not in name},
    )  # fmt: skip
    np.testing.assert_array_equal(image.array[5:], read(tmp_path / "p.dcm", plain).array)


def test_padding_whose_sign_is_taken_for_a_value(tmp_path: Path) -> None:
    values = stored().astype(np.int16)
    values[0] = -2000
    dataset = slice_dataset(values, Modality="MR")
    dataset[0x0028, 0x0120] = DataElement(0x00280120, "US", 65536 - 2000)
    assert read(tmp_path / "a.dcm", dataset).padding == ((-2000.0, -2000.0),)


def test_padding_of_a_series(tmp_path: Path) -> None:
    volume = stored(3, 64, 60).astype(np.int16)
    volume[1, :4] = -2000
    write_series(tmp_path / "s", volume, straight(3, 2.0), PixelPaddingValue=-2000, RescaleIntercept=-1024)
    assert io.read(tmp_path / "s").padding == (None, (-3024.0, -3024.0), None)
    write_series(tmp_path / "t", volume, straight(3, 2.0), RescaleIntercept=-1024)
    assert io.read(tmp_path / "t").padding == ()


@pytest.mark.parametrize(
    ("tags", "low", "expected"),
    [
        ({"RescaleIntercept": -1024}, 0, True),
        ({"RescaleIntercept": 0}, 0, True),  # a phantom or a crop without air, whose file states its rule
        ({"RescaleIntercept": 0, "RescaleType": "HU"}, 0, True),
        ({"RescaleIntercept": 0, "RescaleType": "US"}, 0, False),
        ({"RescaleIntercept": -1024, "RescaleType": "US"}, 0, True),
        ({"RescaleIntercept": 0, "RescaleType": "Z_EFF"}, -500, False),
        ({"RescaleIntercept": None, "RescaleSlope": None}, 0, False),
        ({"RescaleIntercept": None}, 0, False),
        ({"RescaleIntercept": None, "RescaleSlope": None}, -1000, True),  # stored as HU
        ({"RescaleIntercept": None, "PixelPaddingValue": -900}, -900, False),  # only padding is below 0
        ({"RescaleIntercept": None}, -2000, False),  # padding that is not declared
        ({"RescaleIntercept": None, "RescaleSlope": None, "Modality": "MR"}, 0, True),
    ],
)
def test_whether_a_ct_is_in_hounsfield_units(tmp_path: Path, tags: dict[str, Any], low: int, expected: bool) -> None:
    values = RNG.integers(50, 2000, (64, 60)).astype(np.int16)
    values[:4] = low
    image = read(tmp_path / "a.dcm", slice_dataset(values, **tags))
    assert image.hounsfield == expected
    assert any("Hounsfield" in note for note in image.notes) == (not expected)


def test_hounsfield_units_of_a_series(tmp_path: Path) -> None:
    volume = stored(3, 64, 60) + np.uint16(1)
    write_series(tmp_path / "s", volume, straight(3, 2.0), RescaleIntercept=None, RescaleSlope=None)
    assert not io.read(tmp_path / "s").hounsfield
    volume = volume.astype(np.int16)
    volume[1, 0, 0] = -700  # one voxel of air in one slice
    write_series(tmp_path / "t", volume, straight(3, 2.0), RescaleIntercept=None, RescaleSlope=None)
    assert io.read(tmp_path / "t").hounsfield
    files = write_series(tmp_path / "u", volume, straight(3, 2.0), RescaleIntercept=-1024)
    dataset = pydicom.dcmread(files[1])
    del dataset.RescaleIntercept
    dataset.save_as(files[1])
    with pytest.raises(InvalidArgument, match="different units"):
        io.read(tmp_path / "u")


def test_no_pixel_spacing(tmp_path: Path) -> None:
    volume = stored(3, 64, 60)
    write_series(tmp_path / "s", volume, straight(3, 2.0), PixelSpacing=None)
    single = save(tmp_path / "a.dcm", slice_dataset(volume[0], PixelSpacing=None))
    nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")
    for path in (tmp_path / "s", single):
        image = io.read(path)
        assert not image.spaced
        assert any("pixel spacing unknown" in note for note in image.notes)
        io.write(tmp_path / "m.nii", np.ones(image.grid, np.uint8), image)
        header = nib.load(tmp_path / "m.nii").header
        assert (header.get_xyzt_units()[0], int(header["qform_code"]), int(header["sform_code"])) == ("unknown", 0, 0)
        for name in ("m.nrrd", "m.mha"):
            assert "spacing unknown" in io.write(tmp_path / name, np.ones(image.grid, np.uint8), image)
        with pytest.raises(Unsupported, match="no PixelSpacing"):
            io.check_output(tmp_path / "m.dcm", image)


def test_spacing_at_the_detector_is_said_of_a_series(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stored(3, 64, 60), straight(3, 2.0), PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.3])
    image = io.read(tmp_path / "s")
    assert image.spacing[:2] == (0.3, 0.2)
    assert any("detector" in note for note in image.notes)
