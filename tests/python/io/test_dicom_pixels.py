# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM pixels against their own header: unused bits, tables, rescale rules, padding, units, text for numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, Unsupported, io

pydicom = pytest.importorskip("pydicom", reason="pydicom comes with the extra [medical]")
pytest.importorskip("highdicom", reason="the compressions are made with what [medical] brings")
from dicom_builder import slice_dataset, straight, write_series
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

RNG = np.random.default_rng(8)
SYNTAXES = {"raw": None, "rle": RLELossless, "jls": JPEGLSLossless, "j2k": JPEG2000Lossless}


def save(path: Path, dataset: Any) -> Path:
    pydicom.filewriter.correct_ambiguous_vr(dataset, is_little_endian=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def read(path: Path, dataset: Any) -> io.MedicalImage:
    return io.read(save(path, dataset))


def stored(*shape: int, top: int = 4096) -> NDArray[Any]:
    return RNG.integers(0, top, shape or (64, 60)).astype(np.uint16)


# ---- bits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones(tmp_path: Path, syntax: str, signed: bool) -> None:
    """An old overlay in bit 15; where signed, the sign is in bit 11 and the bits above are anything."""
    values = stored()
    values[:8] |= 0x8000
    values[4:12] |= 0x4000
    dataset = slice_dataset(values.view(np.int16) if signed else values, Modality="MR")
    if SYNTAXES[syntax] is not None:
        dataset.compress(SYNTAXES[syntax])
    dataset.BitsStored, dataset.HighBit = 12, 11
    image = read(tmp_path / "a.dcm", dataset)
    expected = (values & 0xFFF).astype(int)
    np.testing.assert_array_equal(image.array, expected - 4096 * (signed & (expected > 2047)))
    assert any("bits above BitsStored 12" in note for note in image.notes)


def test_bits_that_are_not_used_and_empty_say_nothing(tmp_path: Path) -> None:
    image = read(tmp_path / "a.dcm", slice_dataset(stored(), BitsStored=12, HighBit=11, Modality="MR"))
    assert image.notes == ()
    values = RNG.integers(-2048, 2048, (64, 60)).astype(np.int16)  # the sign goes on into the unused bits
    image = read(tmp_path / "a.dcm", slice_dataset(values, BitsStored=12, HighBit=11, Modality="MR"))
    np.testing.assert_array_equal(image.array, values)
    assert image.notes == ()


def test_high_bit(tmp_path: Path) -> None:
    """Values at the top of their words, as DICOM once allowed (PS3.5 8.1.1); pydicom and gdcm take the low bits."""
    values = stored()
    dataset = slice_dataset(values << 4, BitsStored=12, HighBit=15, Modality="MR")
    image = read(tmp_path / "a.dcm", dataset)
    np.testing.assert_array_equal(image.array, values)
    assert any("moved down by 4" in note for note in image.notes)
    wrong = slice_dataset(values, BitsStored=12, HighBit=15, Modality="MR")  # the tag is wrong, not the pixels
    with pytest.raises(InvalidArgument, match="HighBit 15 for BitsStored 12"):
        read(tmp_path / "w.dcm", wrong)
    overlay = slice_dataset((values << 4) | 1, BitsStored=12, HighBit=15, Modality="MR")
    overlay[0x6000, 0x0102] = DataElement(0x60000102, "US", 0)  # OverlayBitPosition
    np.testing.assert_array_equal(read(tmp_path / "o.dcm", overlay).array, values)


@pytest.mark.parametrize("tags", [{"BitsStored": 17}, {"BitsStored": 12, "HighBit": 8}, {"HighBit": 20}])
def test_contradicting_bits(tmp_path: Path, tags: dict[str, int]) -> None:
    with pytest.raises(InvalidArgument):
        read(tmp_path / "a.dcm", slice_dataset(stored(), **tags))


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
def test_32_bits(tmp_path: Path, dtype: type) -> None:
    values: NDArray[Any] = RNG.integers(0, 3000, (64, 60)).astype(dtype)
    np.testing.assert_array_equal(read(tmp_path / "a.dcm", slice_dataset(values, Modality="MR")).array, values)
    values[0, 0] = 1 << 30
    with pytest.raises(InvalidArgument, match="24 bits"):
        read(tmp_path / "a.dcm", slice_dataset(values, Modality="MR"))


def test_float_pixels(tmp_path: Path) -> None:
    values = RNG.normal(size=(64, 60)).astype(np.float32)
    dataset = slice_dataset(stored(), Modality="MR")
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated, dataset.FloatPixelData = 32, values.tobytes()
    dataset.FloatPixelPaddingValue = float(values[3, 4])
    image = read(tmp_path / "a.dcm", dataset)
    np.testing.assert_array_equal(image.array, values)
    assert image.padding == ((float(values[3, 4]), float(values[3, 4])),)


# ---- colours ---------------------------------------------------------------------------------------------------------


def colour_dataset(pixels: NDArray[np.uint8], photometric: str, planar: int = 0) -> Any:
    dataset = slice_dataset(pixels[..., 0], Modality="US", SamplesPerPixel=3, PhotometricInterpretation=photometric)
    dataset.PlanarConfiguration = planar
    dataset.PixelData = (np.moveaxis(pixels, -1, 0) if planar else pixels).tobytes()
    return dataset


@pytest.mark.parametrize("planar", [0, 1])
def test_planes_and_ybr(tmp_path: Path, planar: int) -> None:
    pixels = RNG.integers(0, 256, (64, 60, 3)).astype(np.uint8)
    image = read(tmp_path / "a.dcm", colour_dataset(pixels, "RGB", planar))
    np.testing.assert_array_equal(image.array, pixels)
    y, cb, cr = (pixels[..., k].astype(float) - (128 if k else 0) for k in range(3))  # PS3.3 C.7.6.3.1.2
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1)
    image = read(tmp_path / "a.dcm", colour_dataset(pixels, "YBR_FULL", planar))
    np.testing.assert_allclose(image.array.astype(float), np.clip(rgb, 0, 255), atol=1.01)


@pytest.mark.parametrize("photometric", ["HSV", "ARGB", "CMYK", "MONOCHROME2", "PALETTE COLOR"])
def test_three_samples_of_another_kind(tmp_path: Path, photometric: str) -> None:
    with pytest.raises(InvalidArgument, match="3 samples per pixel"):
        read(tmp_path / "a.dcm", colour_dataset(np.zeros((64, 60, 3), np.uint8), photometric))


def palette_dataset(index: NDArray[np.generic], tables: list[bytes], descriptor: list[int]) -> Any:
    dataset = slice_dataset(index, Modality="US", PhotometricInterpretation="PALETTE COLOR")
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", descriptor)
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table)
    return dataset


@pytest.mark.parametrize(
    ("bits", "form"),
    [(16, "high"), (16, "full"), (16, "low"), (8, "high"), (8, "low"), (8, "packed")],
    ids=["16 bits", "16 bits, repeated byte", "16 low byte", "desc 8, high byte", "desc 8, low byte", "8 packed"],
)
@pytest.mark.parametrize("count", [256, 201])
def test_palettes_of_either_width(tmp_path: Path, bits: int, form: str, count: int) -> None:
    colours = RNG.integers(0, 256, (3, count)).astype(np.uint16)
    scale = {"high": 256, "full": 257, "low": 1}.get(form)
    tables = [(row * scale).tobytes() if scale else row.astype(np.uint8).tobytes() for row in colours]
    tables = [table + bytes(len(table) % 2) for table in tables]
    index = RNG.integers(0, 256, (64, 60)).astype(np.uint8)  # what lies beyond the table takes its last entry
    image = read(tmp_path / "a.dcm", palette_dataset(index, tables, [count % 65536, 0, bits]))
    assert image.array.dtype == np.uint8
    np.testing.assert_array_equal(image.array, colours.T[np.minimum(index, count - 1)])


def test_a_palette_that_begins_elsewhere(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (3, 100)).astype(np.uint16)
    tables = [(row * 256).tobytes() for row in colours]
    index = RNG.integers(0, 256, (64, 60)).astype(np.uint8)
    image = read(tmp_path / "a.dcm", palette_dataset(index, tables, [100, 50, 16]))
    np.testing.assert_array_equal(image.array, colours.T[np.clip(index.astype(int) - 50, 0, 99)])
    signed = RNG.integers(-60, 60, (64, 60)).astype(np.int16)
    image = read(tmp_path / "s.dcm", palette_dataset(signed, tables, [100, -50, 16]))
    np.testing.assert_array_equal(image.array, colours.T[np.clip(signed.astype(int) + 50, 0, 99)])


def test_a_segmented_palette(tmp_path: Path) -> None:
    """PS3.3 C.7.9.2: a discrete segment of two entries, then a linear one of six up to 0x8000."""
    words = np.array([0, 2, 0x1000, 0x2000, 1, 6, 0x8000], np.uint16)
    dataset = palette_dataset(np.arange(8, dtype=np.uint8).reshape(2, 4), [b""] * 3, [8, 0, 16])
    for colour in ("Red", "Green", "Blue"):
        delattr(dataset, f"{colour}PaletteColorLookupTableData")
        setattr(dataset, f"Segmented{colour}PaletteColorLookupTableData", words.tobytes())
    image = read(tmp_path / "a.dcm", dataset)
    expected = np.concatenate([[0x1000, 0x2000], np.linspace(0x2000, 0x8000, 7)[1:]]) / 256
    np.testing.assert_allclose(image.array[..., 0].ravel().astype(float), np.floor(expected), atol=1)
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"Segmented{colour}PaletteColorLookupTableData", words[:-2].tobytes())
    with pytest.raises(InvalidArgument, match="palette"):
        read(tmp_path / "b.dcm", dataset)


@pytest.mark.parametrize("fault", ["short", "range", "absent", "bits", "empty"])
def test_damaged_palettes(tmp_path: Path, fault: str) -> None:
    dataset = palette_dataset(np.zeros((64, 60), np.uint8), [bytes(512)] * 3, [256, 0, 16])
    if fault == "short":
        dataset.GreenPaletteColorLookupTableData = bytes(300)
    elif fault == "range":
        dataset.GreenPaletteColorLookupTableDescriptor = [256, 3, 16]
    elif fault == "absent":
        del dataset.GreenPaletteColorLookupTableData
    elif fault == "bits":
        dataset.GreenPaletteColorLookupTableDescriptor = [256, 0, 3]
    else:
        dataset.GreenPaletteColorLookupTableDescriptor = None
    with pytest.raises(InvalidArgument, match="alette") as caught:
        read(tmp_path / "a.dcm", dataset)
    assert "\n" not in str(caught.value)


# ---- rescale ---------------------------------------------------------------------------------------------------------


def item(**tags: Any) -> Any:
    made = pydicom.Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


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


# ---- padding ---------------------------------------------------------------------------------------------------------


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


# ---- Hounsfield units ------------------------------------------------------------------------------------------------


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


# ---- spacing ---------------------------------------------------------------------------------------------------------


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


# ---- text where numbers belong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PixelSpacing", b"0,8\\0,7 "),
        ("PixelSpacing", b"0.8 "),
        ("PixelSpacing", b"0.8\\ "),
        ("RescaleSlope", b"1,0 "),
        ("RescaleIntercept", b"-1024,0"),
        ("RescaleSlope", b"1\\2 "),
        ("ImagePositionPatient", b"0,0\\0,0\\1,5 "),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\1 "),
        ("SliceThickness", b"2,5 "),
        ("NumberOfFrames", b"one "),
        ("RescaleSlope", b"1e400 "),
        ("RescaleSlope", b"nan "),
        ("SliceThickness", b"inf "),
        ("SpacingBetweenSlices", b"n/a "),
    ],
)
def test_text_where_a_number_belongs(tmp_path: Path, name: str, text: bytes) -> None:
    dataset = slice_dataset(stored())
    tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(name))
    vr = pydicom.datadict.dictionary_VR(tag)
    dataset._dict[tag] = RawDataElement(tag, vr, len(text), text, 0, False, True)
    (tmp_path / "s").mkdir()
    save(tmp_path / "s" / "a.dcm", dataset)
    for path in (tmp_path / "s" / "a.dcm", tmp_path / "s"):
        with pytest.raises(InvalidArgument) as caught:
            io.read(path)
        message = str(caught.value)
        assert "\n" not in message
        for word in (name, "a.dcm", text.decode().split("\\")[0].strip(), "expected", "correct the tag"):
            assert word in message


def test_text_in_a_functional_group(tmp_path: Path) -> None:
    dataset = enhanced(stored(3, 4, 5))
    group = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    tag = pydicom.tag.Tag("ImagePositionPatient")
    text = b"0,0\\0,0\\1,5 "
    group._dict[tag] = RawDataElement(tag, "DS", len(text), text, 0, False, True)
    with pytest.raises(InvalidArgument, match="ImagePositionPatient"):
        read(tmp_path / "a.dcm", dataset)


# ---- frames ----------------------------------------------------------------------------------------------------------


def enhanced(volume: NDArray[np.generic], shared_rule: bool = False) -> Any:
    """An enhanced CT of (F, H, W), a rule for each frame or one for all."""
    dataset = slice_dataset(
        volume[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None, SliceThickness=None,
        RescaleSlope=None, RescaleIntercept=None,
    )  # fmt: skip
    dataset.NumberOfFrames, dataset.PixelData = len(volume), volume.tobytes()

    def rule(k: int) -> list[Any]:
        return [item(RescaleSlope=1 + k, RescaleIntercept=-1024)]

    shared = item(PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    if shared_rule:
        shared.PixelValueTransformationSequence = rule(0)
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, 2.0 * k])],
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.0)],
            **({} if shared_rule else {"PixelValueTransformationSequence": rule(k)}),
        )
        for k in range(len(volume))
    ]
    return dataset


def test_a_rule_per_frame(tmp_path: Path) -> None:
    volume = stored(3, 4, 5)
    image = read(tmp_path / "a.dcm", enhanced(volume))
    np.testing.assert_array_equal(image.array, volume.astype(int) * np.array([1, 2, 3]).reshape(3, 1, 1) - 1024)
    assert image.positioned
    assert image.hounsfield


@pytest.mark.parametrize("shared_rule", [True, False])
@pytest.mark.parametrize(
    "sequence", ["PlanePositionSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence", "all"]
)
@pytest.mark.parametrize("frame", [0, 1, 2])
def test_a_frame_that_lacks_something(tmp_path: Path, sequence: str, frame: int, shared_rule: bool) -> None:
    dataset = enhanced(stored(3, 4, 5), shared_rule)
    if sequence == "all":
        del dataset.PerFrameFunctionalGroupsSequence[frame]
    elif sequence in dataset.PerFrameFunctionalGroupsSequence[frame]:
        delattr(dataset.PerFrameFunctionalGroupsSequence[frame], sequence)
    else:
        pytest.skip("the rule is in the shared group")
    words = "2 items of PerFrame" if sequence == "all" else f"frame {frame + 1} of 3"
    with pytest.raises(InvalidArgument, match=words):
        read(tmp_path / "a.dcm", dataset)


def test_a_frame_too_many_in_the_list(tmp_path: Path) -> None:
    dataset = enhanced(stored(3, 4, 5))
    dataset.PerFrameFunctionalGroupsSequence.append(dataset.PerFrameFunctionalGroupsSequence[0])
    with pytest.raises(InvalidArgument, match="4 items"):
        read(tmp_path / "a.dcm", dataset)


@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("syntax", ["raw", "rle"])
def test_a_wrong_number_of_frames(tmp_path: Path, frames: int, syntax: str) -> None:
    dataset = slice_dataset(stored(64, 60), Modality="MR")
    dataset.NumberOfFrames, dataset.PixelData = 3, stored(3, 64, 60).tobytes()
    if SYNTAXES[syntax] is not None:
        dataset.compress(SYNTAXES[syntax])
    dataset.NumberOfFrames = frames
    with pytest.raises(InvalidArgument):
        read(tmp_path / "a.dcm", dataset)
