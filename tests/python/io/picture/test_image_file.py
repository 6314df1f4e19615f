# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Image files: every value as stored, every change noted, everything else refused."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument
from medsam_engine.io import read_image

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
RNG = np.random.default_rng(3)


def png(pixels: NDArray[np.uint16], interlaced: bool = False) -> bytes:
    """16-bit RGB PNG, which Pillow cannot write (PNG specification, color type 2, depth 16, filter 0 or 1)."""
    height, width = pixels.shape[:2]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = []
    for y, row in enumerate(pixels.astype(">u2")):
        raw = np.frombuffer(row.tobytes(), np.uint8)
        if y % 2:  # filter 1, "Sub": the difference to the pixel before, 6 bytes back
            raw = raw - np.concatenate([np.zeros(6, np.uint8), raw[:-6]])
        rows.append(bytes([y % 2]) + raw.tobytes())
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, int(interlaced))
    data = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunks(width: int, height: int, depth: int, kind: int, rows: list[bytes], **more: bytes) -> bytes:
    """A PNG of unfiltered rows, with further chunks before the pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    before = b"".join(chunk(name.encode(), data) for name, data in more.items())
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(pixels: NDArray[np.generic], order: str) -> bytes:
    """Uncompressed 16-bit RGB TIFF, "<" or ">" (TIFF 6.0, section 6)."""
    height, width, channels = pixels.shape
    data = pixels.astype(np.dtype(order + "u2")).tobytes()
    bits_at = 8 + 2 + 10 * 12 + 4
    data_at = bits_at + 6
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, data_at),
        (277, 3, 1, channels),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),
    ]
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        out += struct.pack(order + "HHI", tag, kind, count)
        out += struct.pack(order + ("HH" if short else "I"), *((value, 0) if short else (value,)))
    return out + struct.pack(order + "I", 0) + struct.pack(order + "HHH", 16, 16, 16) + data


def random(dtype: str, *shape: int) -> NDArray[np.generic]:
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("dtype", "shape"), [("uint8", (9, 13)), ("uint8", (9, 13, 3)), ("uint16", (9, 13))], ids=["gray", "rgb", "gray16"]
)
def test_values_as_stored(tmp_path: Path, suffix: str, dtype: str, shape: tuple[int, ...]) -> None:
    pixels = random(dtype, *shape)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    file = read_image(tmp_path / f"a.{suffix}")
    assert file.pixels.dtype == dtype
    np.testing.assert_array_equal(file.pixels, pixels)
    assert file.notes == []


def test_16_bit_color_keeps_its_low_byte(tmp_path: Path) -> None:
    pixels = random("uint16", 9, 13, 3).astype(np.uint16)
    for name, content in {"a.png": png(pixels), "l.tif": tiff(pixels, "<"), "b.tif": tiff(pixels, ">")}.items():
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, pixels, err_msg=name)


def test_compressed_16_bit_color_tiff(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="writes the file")
    pixels = random("uint16", 50, 60, 3).astype(np.uint16)
    for name in ("a.tif", "a.png"):  # OpenCV compresses both, TIFF by LZW with a predictor
        cv2.imwrite(str(tmp_path / name), pixels[..., ::-1])
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, pixels, err_msg=name)


def test_jpeg_and_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate to show"
    Image.fromarray(np.full((8, 24, 3), 90, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    file = read_image(tmp_path / "a.jpg")
    assert file.pixels.shape == (8, 24, 3)
    assert any("orientation 6" in note for note in file.notes)
    Image.fromarray(np.full((8, 24), 90, np.uint8)).save(tmp_path / "g.jpg")
    gray = read_image(tmp_path / "g.jpg")
    assert gray.pixels.shape == (8, 24)
    assert gray.notes == []


def test_signed_and_float_tiff(tmp_path: Path) -> None:
    signed = random("int16", 5, 7).astype(np.int16)
    signed[0, 0] = -1000
    Image.fromarray(signed.astype(np.int32)).save(tmp_path / "i.tif")
    file = read_image(tmp_path / "i.tif")
    assert file.pixels.dtype == np.int16
    np.testing.assert_array_equal(file.pixels, signed)
    real = RNG.random((5, 7), dtype=np.float32)
    Image.fromarray(real).save(tmp_path / "f.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "f.tif").pixels, real)
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(InvalidArgument, match="0 to 70000"):
        read_image(tmp_path / "wide.tif")


def test_palette_alpha_and_bits(tmp_path: Path) -> None:
    rgb = Image.fromarray(np.repeat(np.array([[[200, 10, 10], [10, 200, 10]]], np.uint8), 4, axis=0))
    rgb.quantize(2).save(tmp_path / "p.png")
    file = read_image(tmp_path / "p.png")
    np.testing.assert_allclose(file.pixels.astype(int), np.asarray(rgb), atol=2)
    assert any("palette" in note for note in file.notes)

    opaque = rgb.convert("RGBA")
    opaque.save(tmp_path / "a.png")
    file = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(file.pixels, np.asarray(rgb))
    assert any("alpha" in note for note in file.notes)
    opaque.putpixel((0, 0), (200, 10, 10, 254))
    opaque.save(tmp_path / "t.png")
    with pytest.raises(InvalidArgument, match="transparent"):
        read_image(tmp_path / "t.png")

    Image.fromarray(np.eye(4, dtype=bool)).save(tmp_path / "1.png")
    file = read_image(tmp_path / "1.png")
    np.testing.assert_array_equal(file.pixels, np.eye(4) * 255)
    assert any("1-bit" in note for note in file.notes)


@pytest.mark.parametrize("bits", [2, 4])
def test_a_png_of_few_bits_is_stretched_and_says_so(tmp_path: Path, bits: int) -> None:
    values = RNG.integers(0, 1 << bits, (9, 16)).astype(np.uint8)
    bit = ((values[..., np.newaxis] >> np.arange(bits)[::-1]) & 1).reshape(9, -1)
    (tmp_path / "a.png").write_bytes(chunks(16, 9, bits, 0, [np.packbits(row).tobytes() for row in bit]))
    file = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(file.pixels, values * (255 // ((1 << bits) - 1)))
    assert any(f"{bits}-bit values stretched" in note for note in file.notes)


@pytest.mark.parametrize(("mode", "depth", "kind"), [("L", 8, 0), ("I;16", 16, 0), ("RGB", 8, 2), ("RGB;16", 16, 2)])
def test_a_transparent_color(tmp_path: Path, mode: str, depth: int, kind: int) -> None:
    """PNG's tRNS of gray and color images, which Pillow leaves beside the pixels."""
    pixels = RNG.integers(0, 200, (9, 16, 1 if kind == 0 else 3)).astype(">u2" if depth == 16 else "u1")
    rows = [row.tobytes() for row in pixels]
    for key, refused in ((pixels[4, 5], True), (np.full(pixels.shape[-1], 250), False)):
        trns = b"".join(struct.pack(">H", int(part)) for part in key)
        (tmp_path / "a.png").write_bytes(chunks(16, 9, depth, kind, rows, tRNS=trns))
        if refused:
            with pytest.raises(InvalidArgument, match="transparent"):
                read_image(tmp_path / "a.png")
            continue
        file = read_image(tmp_path / "a.png")
        np.testing.assert_array_equal(file.pixels, pixels if kind else pixels[..., 0], err_msg=mode)
        assert any("transparent color" in note for note in file.notes)


def test_a_palette_that_is_too_short(tmp_path: Path) -> None:
    rows = [bytes([0, 1, 2, 3]) for _ in range(4)]
    (tmp_path / "a.png").write_bytes(chunks(4, 4, 8, 3, rows, PLTE=bytes(6)))
    with pytest.raises(InvalidArgument, match="palette of 2 colors"):
        read_image(tmp_path / "a.png")


def test_deep_png_with_alpha_is_refused(tmp_path: Path) -> None:
    for kind, channels in ((4, 2), (6, 4)):
        rows = [bytes(4 * channels * 2) for _ in range(4)]
        (tmp_path / "a.png").write_bytes(chunks(4, 4, 16, kind, rows))
        with pytest.raises(InvalidArgument, match="16-bit"):
            read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "mode", "message"), [("c.jpg", "CMYK", "CMYK"), ("l.tif", "LAB", "LAB"), ("a.gif", "L", "none of these")]
)
def test_other_kinds_are_refused(tmp_path: Path, name: str, mode: str, message: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / name)
    with pytest.raises(InvalidArgument, match=message):
        read_image(tmp_path / name)


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (1, 2)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidArgument, match="2 frames"):
        read_image(tmp_path / "a.tif")


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: folder / "missing.png",
        lambda folder: folder,
        lambda folder: write(folder / "empty.png", b""),
        lambda folder: write(folder / "text.png", b"hello"),
        lambda folder: write(folder / "cut.png", png(random("uint16", 64, 64, 3).astype(np.uint16))[:-9000]),
        lambda folder: write(folder / "cut.tif", tiff(random("uint16", 64, 64, 3), "<")[:-9000]),
        lambda folder: write(folder / "head.png", png(np.zeros((1, 1, 3), np.uint16))[:20]),
    ],
    ids=["missing", "folder", "empty", "text", "cut png", "cut tiff", "head only"],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, make: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_image(make(tmp_path))
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)
