# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Compressed DICOM frames whose own header and the file's differ: decoders give other pixels, or end the process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import InvalidArgument, io
from medsam_engine.io.dicom.codestream import claimed_size

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import slice_dataset
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

FILES = {
    "jpeg": "SC_rgb_small_odd_jpeg.dcm",
    "jpeg lossless": "SC_rgb_jpeg_gdcm.dcm",
    "jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg 2000": "MR_small_jp2klossless.dcm",
    "jpeg 2000 rgb": "SC_rgb_gdcm_KY.dcm",
}


def sample(name: str) -> Any:
    return pydicom.dcmread(str(get_testdata_file(FILES[name], download=False)))


def read(path: Path, dataset: Any) -> io.MedicalImage:
    dataset.save_as(path, enforce_file_format=True)
    return io.read(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", ["samples", "rows fewer", "rows more", "columns", "one byte", "four bytes"])
def test_a_header_that_does_not_fit_the_frame(tmp_path: Path, name: str, change: str) -> None:
    dataset = sample(name)
    sound = read(tmp_path / "sound.dcm", sample(name))
    one = int(dataset.SamplesPerPixel) == 1
    if change == "samples":
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = (3, 0) if one else (1, 0)
        dataset.PhotometricInterpretation = "RGB" if one else "MONOCHROME2"
    elif change == "columns":
        dataset.Columns = int(dataset.Columns) - 1
    elif "rows" in change:
        dataset.Rows = int(dataset.Rows) + (1 if "more" in change else -1)
    else:
        bits = 8 if change == "one byte" else 32
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit = bits - 1
        if bits == sample(name).BitsAllocated:
            pytest.skip("that is what it has")
    if name.startswith("jpeg 2000") and change == "four bytes":  # openjpeg has 32 bits for every sample
        np.testing.assert_array_equal(read(tmp_path / "a.dcm", dataset).array, sound.array)
        return
    with pytest.raises(InvalidArgument, match="compressed frame") as caught:
        read(tmp_path / "a.dcm", dataset)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_what_a_codestream_says(syntax: Any) -> None:
    for bits, dtype in ((8, np.uint8), (12, np.uint16), (16, np.uint16)):
        pixels = np.random.default_rng(1).integers(0, 1 << bits, (64, 60)).astype(dtype)
        dataset = slice_dataset(pixels, BitsStored=bits, HighBit=bits - 1)
        dataset.compress(syntax)
        size = claimed_size(next(generate_frames(dataset.PixelData, number_of_frames=1)))
        assert size is not None
        assert (size.width, size.height, size.components, size.bits) == (60, 64, 1, bits)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.4, 0.99])
def test_a_frame_that_is_cut_off(tmp_path: Path, name: str, kept: float) -> None:
    """CharLS would wait for ever for the rest, OpenJPEG give what there is."""
    dataset = sample(name)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: int(len(frame) * kept) // 2 * 2]])
    with pytest.raises(InvalidArgument) as caught:
        read(tmp_path / "a.dcm", dataset)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["jpeg", "jpeg-ls", "jpeg 2000"])
@pytest.mark.parametrize("content", [b"\0\0", b"\xff\xd8\xff", b"no codestream", b"\xff\x4f\xff\x51\x00"])
def test_a_frame_that_is_none(tmp_path: Path, name: str, content: bytes) -> None:
    dataset = sample(name)
    dataset.PixelData = encapsulate([content + bytes(len(content) % 2)])
    with pytest.raises(InvalidArgument) as caught:
        read(tmp_path / "a.dcm", dataset)
    assert "\n" not in str(caught.value)


def test_signed_colors(tmp_path: Path) -> None:
    dataset = sample("jpeg 2000 rgb")
    dataset.PixelRepresentation = 1
    with pytest.raises(InvalidArgument, match="signed colors"):
        read(tmp_path / "a.dcm", dataset)
    dataset = sample("jpeg 2000 rgb")
    dataset.BitsStored, dataset.HighBit = 7, 6
    with pytest.raises(InvalidArgument, match="compressed frame"):
        read(tmp_path / "b.dcm", dataset)
