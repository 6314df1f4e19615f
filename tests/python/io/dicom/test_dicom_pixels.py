# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM pixels against their own header: unused bits, colors, palettes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import RNG, read, slice_dataset, stored
from pydicom.dataelem import DataElement
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

SYNTAXES = {"raw": None, "rle": RLELossless, "jls": JPEGLSLossless, "j2k": JPEG2000Lossless}


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


def color_dataset(pixels: NDArray[np.uint8], photometric: str, planar: int = 0) -> Any:
    dataset = slice_dataset(pixels[..., 0], Modality="US", SamplesPerPixel=3, PhotometricInterpretation=photometric)
    dataset.PlanarConfiguration = planar
    dataset.PixelData = (np.moveaxis(pixels, -1, 0) if planar else pixels).tobytes()
    return dataset


@pytest.mark.parametrize("planar", [0, 1])
def test_planes_and_ybr(tmp_path: Path, planar: int) -> None:
    pixels = RNG.integers(0, 256, (64, 60, 3)).astype(np.uint8)
    image = read(tmp_path / "a.dcm", color_dataset(pixels, "RGB", planar))
    np.testing.assert_array_equal(image.array, pixels)
    y, cb, cr = (pixels[..., k].astype(float) - (128 if k else 0) for k in range(3))  # PS3.3 C.7.6.3.1.2
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1)
    image = read(tmp_path / "a.dcm", color_dataset(pixels, "YBR_FULL", planar))
    np.testing.assert_allclose(image.array.astype(float), np.clip(rgb, 0, 255), atol=1.01)


@pytest.mark.parametrize("photometric", ["HSV", "ARGB", "CMYK", "MONOCHROME2", "PALETTE COLOR"])
def test_three_samples_of_another_kind(tmp_path: Path, photometric: str) -> None:
    with pytest.raises(InvalidArgument, match="3 samples per pixel"):
        read(tmp_path / "a.dcm", color_dataset(np.zeros((64, 60, 3), np.uint8), photometric))


def palette_dataset(index: NDArray[np.generic], tables: list[bytes], descriptor: list[int]) -> Any:
    dataset = slice_dataset(index, Modality="US", PhotometricInterpretation="PALETTE COLOR")
    for color, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(dataset, f"{color}PaletteColorLookupTableDescriptor", descriptor)
        setattr(dataset, f"{color}PaletteColorLookupTableData", table)
    return dataset


@pytest.mark.parametrize(
    ("bits", "form"),
    [(16, "high"), (16, "full"), (16, "low"), (8, "high"), (8, "low"), (8, "packed")],
    ids=["16 bits", "16 bits, repeated byte", "16 low byte", "desc 8, high byte", "desc 8, low byte", "8 packed"],
)
@pytest.mark.parametrize("count", [256, 201])
def test_palettes_of_either_width(tmp_path: Path, bits: int, form: str, count: int) -> None:
    colors = RNG.integers(0, 256, (3, count)).astype(np.uint16)
    scale = {"high": 256, "full": 257, "low": 1}.get(form)
    tables = [(row * scale).tobytes() if scale else row.astype(np.uint8).tobytes() for row in colors]
    tables = [table + bytes(len(table) % 2) for table in tables]
    index = RNG.integers(0, 256, (64, 60)).astype(np.uint8)  # what lies beyond the table takes its last entry
    image = read(tmp_path / "a.dcm", palette_dataset(index, tables, [count % 65536, 0, bits]))
    assert image.array.dtype == np.uint8
    np.testing.assert_array_equal(image.array, colors.T[np.minimum(index, count - 1)])


def test_a_palette_that_begins_elsewhere(tmp_path: Path) -> None:
    colors = RNG.integers(0, 256, (3, 100)).astype(np.uint16)
    tables = [(row * 256).tobytes() for row in colors]
    index = RNG.integers(0, 256, (64, 60)).astype(np.uint8)
    image = read(tmp_path / "a.dcm", palette_dataset(index, tables, [100, 50, 16]))
    np.testing.assert_array_equal(image.array, colors.T[np.clip(index.astype(int) - 50, 0, 99)])
    signed = RNG.integers(-60, 60, (64, 60)).astype(np.int16)
    image = read(tmp_path / "s.dcm", palette_dataset(signed, tables, [100, -50, 16]))
    np.testing.assert_array_equal(image.array, colors.T[np.clip(signed.astype(int) + 50, 0, 99)])


def test_a_segmented_palette(tmp_path: Path) -> None:
    """PS3.3 C.7.9.2: a discrete segment of two entries, then a linear one of six up to 0x8000."""
    words = np.array([0, 2, 0x1000, 0x2000, 1, 6, 0x8000], np.uint16)
    dataset = palette_dataset(np.arange(8, dtype=np.uint8).reshape(2, 4), [b""] * 3, [8, 0, 16])
    for color in ("Red", "Green", "Blue"):
        delattr(dataset, f"{color}PaletteColorLookupTableData")
        setattr(dataset, f"Segmented{color}PaletteColorLookupTableData", words.tobytes())
    image = read(tmp_path / "a.dcm", dataset)
    expected = np.concatenate([[0x1000, 0x2000], np.linspace(0x2000, 0x8000, 7)[1:]]) / 256
    np.testing.assert_allclose(image.array[..., 0].ravel().astype(float), np.floor(expected), atol=1)
    for color in ("Red", "Green", "Blue"):
        setattr(dataset, f"Segmented{color}PaletteColorLookupTableData", words[:-2].tobytes())
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
