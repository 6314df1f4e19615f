# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""JPEG lossless frames in DICOM files: of every kind that the standard has, damaged, and of another process."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io
from medsam_engine.io.dicom.lossless_jpeg import holds

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
imagecodecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not in a thin installation")
from dicom_builder import slice_dataset
from pydicom.encaps import encapsulate

RNG = np.random.default_rng(1)
PREDICTIONS: dict[int, Callable[[int, int, int], int]] = {  # ITU-T T.81, table H.1
    1: lambda a, _b, _c: a, 2: lambda _a, b, _c: b, 3: lambda _a, _b, c: c, 4: lambda a, b, c: a + b - c,
    5: lambda a, b, c: a + ((b - c) >> 1), 6: lambda a, b, c: b + ((a - c) >> 1), 7: lambda a, b, _c: (a + b) >> 1,
}  # fmt: skip


def encoded(samples: NDArray[np.integer], bits: int, predictor: int = 1, shift: int = 0, rows: int = 0) -> bytes:
    """A frame of (rows, columns, components), with a restart marker behind every `rows`; each code has 5 bits."""
    height, width, count = samples.shape
    tables = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    frame = bytes([bits]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([count])
    frame += b"".join(bytes([k + 1, 0x11, 0]) for k in range(count))
    scan = bytes([count, *itertools.chain(*([k + 1, 0] for k in range(count))), predictor, 0, shift])
    parts = []
    for top in range(0, height, rows or height):
        text = ""
        block = samples[top : top + (rows or height)].astype(int) >> shift
        for y, x, k in np.ndindex(block.shape):
            at = block[:, :, k]
            if y and x:
                predicted = PREDICTIONS[predictor](int(at[y, x - 1]), int(at[y - 1, x]), int(at[y - 1, x - 1]))
            else:
                predicted = int(at[y, x - 1] if x else at[y - 1, x] if y else 1 << (bits - shift - 1))
            text += difference_code((int(at[y, x]) - predicted) % 65536)
        text += "1" * (-len(text) % 8)
        part = int(text, 2).to_bytes(len(text) // 8, "big")
        parts.append(part.replace(b"\xff", b"\xff\x00"))
    segments = [(0xC3, frame), (0xC4, tables), (0xDA, scan)]
    if rows:
        segments.insert(0, (0xDD, (rows * width).to_bytes(2, "big")))
    made = b"\xff\xd8" + b"".join(
        bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body for marker, body in segments
    )
    for number, part in enumerate(parts):
        made += part + (bytes([0xFF, 0xD0 + number % 8]) if number + 1 < len(parts) else b"\xff\xd9")
    return made


def difference_code(difference: int) -> str:
    signed = difference - 65536 if difference > 32768 else difference
    category = abs(signed).bit_length()
    extra = f"{signed if signed > 0 else signed + (1 << category) - 1:0{category}b}" if 0 < category < 16 else ""
    return f"{category:05b}{extra}"


def read(path: Path, frame: bytes, pixels: NDArray[np.generic], bits: int) -> NDArray[np.generic]:
    dataset = slice_dataset(pixels[..., 0], BitsStored=bits, HighBit=bits - 1)
    if pixels.shape[2] > 1:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.PixelData = encapsulate([frame + bytes(len(frame) % 2)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    dataset.save_as(path, enforce_file_format=True)
    return io.read(path).array


def noise(bits: int, count: int = 1, shift: int = 0) -> NDArray[np.integer]:
    dtype = np.uint8 if bits <= 8 else np.uint16
    return (RNG.integers(0, 1 << (bits - shift), (13, 11, count)) << shift).astype(dtype)


@pytest.mark.parametrize("predictor", PREDICTIONS)
@pytest.mark.parametrize(("bits", "count", "shift", "rows"), [
    (8, 1, 0, 0), (8, 3, 0, 0), (8, 3, 0, 5), (12, 1, 0, 0), (12, 1, 0, 1), (12, 1, 3, 4), (16, 1, 0, 0), (16, 1, 0, 6),
])  # fmt: skip
def test_frames_of_every_kind(tmp_path: Path, predictor: int, bits: int, count: int, shift: int, rows: int) -> None:
    pixels = noise(bits, count, shift)
    frame = encoded(pixels, bits, predictor, shift, rows)
    array = read(tmp_path / "a.dcm", frame, pixels, bits)
    np.testing.assert_array_equal(array, pixels if count > 1 else pixels[..., 0])
    for at in (0, pixels.size // 2, pixels.size - 1):
        other = pixels.copy()
        other.flat[at] ^= 1 << shift
        assert not holds(frame, other)


@pytest.mark.parametrize("predictor", PREDICTIONS)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_frames_that_libjpeg_turbo_made(tmp_path: Path, predictor: int, bits: int) -> None:
    pixels = RNG.integers(0, 1 << bits, (60, 700, 1)).astype(np.uint8 if bits == 8 else np.uint16)
    frame = imagecodecs.jpeg8_encode(pixels[..., 0], lossless=True, predictor=predictor, bitspersample=bits)
    np.testing.assert_array_equal(read(tmp_path / "a.dcm", frame, pixels, bits), pixels[..., 0])
    many = np.tile(pixels, (5, 1, 1))  # more than are compared at a time
    frame = imagecodecs.jpeg8_encode(many[..., 0], lossless=True, predictor=predictor, bitspersample=bits)
    assert holds(frame, many)
    many[-1, -1, 0] ^= 1
    assert not holds(frame, many)


def test_a_changed_byte_is_refused_or_gives_what_the_frame_now_holds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before, gdcm printed of them, ended the process, or gave what a decoder makes of bits that are no code."""
    pixels = noise(12)
    frame = imagecodecs.jpeg8_encode(pixels[..., 0], lossless=True, predictor=1, bitspersample=12)
    start, outcomes = frame.index(b"\xff\xda"), {"refused": 0, "read": 0}
    for at in range(start, len(frame)):
        damaged = bytearray(frame)
        damaged[at] ^= int(RNG.integers(1, 256))
        try:
            array = read(tmp_path / "a.dcm", bytes(damaged), pixels, 12)
        except InvalidArgument:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert holds(bytes(damaged), array.astype(np.int64))
    assert outcomes["refused"] > outcomes["read"] > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("rows", [0, 4])
@pytest.mark.parametrize("change", ["short", "long", "end in zeros"])
def test_data_that_ends_early_or_late(tmp_path: Path, rows: int, change: str) -> None:
    pixels = noise(12)
    frame = encoded(pixels, 12, rows=rows)
    body, end = frame[:-2], frame[-2:]
    if change == "end in zeros":  # padding, which says nothing
        np.testing.assert_array_equal(read(tmp_path / "a.dcm", body + bytes(6) + end, pixels, 12), pixels[..., 0])
        return
    made = body[:-5] + end if change == "short" else body + b"\x12\x34\x56" + end
    with pytest.raises(InvalidArgument, match="damaged JPEG lossless frame"):
        read(tmp_path / "a.dcm", made, pixels, 12)


def test_another_process_under_this_transfer_syntax(tmp_path: Path) -> None:
    pixels = noise(8)
    with pytest.raises(InvalidArgument, match="not JPEG lossless"):
        read(tmp_path / "a.dcm", imagecodecs.jpeg8_encode(pixels[..., 0], level=90), pixels, 8)


def test_signed_samples_of_twelve_bits(tmp_path: Path) -> None:
    pixels = noise(12)
    dataset = slice_dataset(pixels[..., 0], BitsStored=12, HighBit=11, PixelRepresentation=1)
    dataset.PixelData = encapsulate([encoded(pixels, 12)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    signed = np.where(pixels[..., 0] >= 2048, pixels[..., 0].astype(np.int16) - 4096, pixels[..., 0])
    np.testing.assert_array_equal(io.read(tmp_path / "a.dcm").array, signed)
