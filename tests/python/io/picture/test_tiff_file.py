# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""TIFF files of every kind that real programs write: the stored samples, or a refusal that names the reason."""

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument
from medsam_engine.io import read_image

tifffile = pytest.importorskip("tifffile", reason="tifffile is not in a thin installation")
pytest.importorskip("imagecodecs", reason="imagecodecs is not in a thin installation")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
RNG = np.random.default_rng(5)
H, W = 37, 50
Tag = tuple[int, int, int, Any]  # number, type, count, value or bytes that lie elsewhere


def some(dtype: str, *shape: int) -> NDArray[np.generic]:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.normal(size=shape).astype(kind)
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def tiff(strips: list[bytes], tags: dict[int, tuple[int, Any]], size: tuple[int, int] = (H, W)) -> bytes:
    """A little-endian TIFF of one directory by hand (TIFF 6.0, section 2). `tags`: number: (type, value or values)."""
    entries: dict[int, tuple[int, Any]] = {
        256: (4, size[1]), 257: (4, size[0]), 258: (3, 8), 259: (3, 1), 262: (3, 1), 277: (3, 1), 278: (4, size[0]),
    }  # fmt: skip
    entries.update(tags)
    data, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(data))
        data += strip + bytes(len(strip) % 2)
    entries[273] = (4, offsets)
    entries[279] = (4, [len(strip) for strip in strips])
    extra, lines, base = b"", b"", 8 + len(data)
    for number in sorted(entries):
        kind, value = entries[number]
        if kind == 2:
            packed, count = value + b"\0", len(value) + 1
        else:
            values = list(value) if isinstance(value, (list, tuple)) else [value]
            packed, count = struct.pack(f"<{len(values)}{'HI'[kind == 4]}", *values), len(values)
        if len(packed) > 4:
            lines += struct.pack("<HHII", number, kind, count, base + len(extra))
            extra += packed + bytes(len(packed) % 2)
        else:
            lines += struct.pack("<HHI", number, kind, count) + packed.ljust(4, b"\0")
    directory = struct.pack("<H", len(entries)) + lines + struct.pack("<I", 0)
    return struct.pack("<2sHI", b"II", 42, base + len(extra)) + data + extra + directory


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize(
    "options", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"tile": (16, 16)}, {"rowsperstrip": 5}]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_gray_as_stored(tmp_path: Path, compression: str | None, options: dict[str, Any], dtype: str) -> None:
    pixels = some(dtype, H, W)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, photometric="minisblack", **options)
    file = read_image(tmp_path / "a.tif")
    assert file.pixels.dtype == dtype
    np.testing.assert_array_equal(file.pixels, pixels)
    assert file.notes == []


@pytest.mark.parametrize("compression", [None, "lzw", "deflate"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_color_as_stored(tmp_path: Path, compression: str | None, planar: str, dtype: str) -> None:
    pixels = some(dtype, H, W, 3)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0).copy()
    tifffile.imwrite(tmp_path / "a.tif", stored, compression=compression, photometric="rgb", planarconfig=planar)
    file = read_image(tmp_path / "a.tif")
    assert file.pixels.dtype == dtype
    np.testing.assert_array_equal(file.pixels, pixels)


def test_16_bit_planes_by_hand(tmp_path: Path) -> None:
    """PlanarConfiguration 2, of which Pillow gives the low byte; baseline, by no library."""
    planes = some("uint16", 3, H, W)
    content = tiff([p.tobytes() for p in planes], {258: (3, [16] * 3), 262: (3, 2), 277: (3, 3), 284: (3, 2)})
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.tif", content)).pixels, np.moveaxis(planes, 0, -1))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_fourth_channel(tmp_path: Path, planar: str, dtype: str) -> None:
    pixels = some(dtype, H, W, 4)
    for opaque, extra in ((True, "unassalpha"), (True, "assocalpha"), (False, "unassalpha"), (False, "unspecified")):
        pixels[..., 3] = np.iinfo(dtype).max if opaque else 7
        stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0).copy()
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, extrasamples=[extra])
        if not opaque and extra != "unspecified":
            with pytest.raises(InvalidArgument, match="transparent"):
                read_image(tmp_path / "a.tif")
            continue
        file = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(file.pixels, pixels[..., :3])
        assert any("dropped" in note for note in file.notes)


@pytest.mark.parametrize("predictor", [2, 3])
def test_predictors(tmp_path: Path, predictor: int) -> None:
    pixels = some("float32" if predictor == 3 else "uint16", H, W)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="lzw", predictor=predictor)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def test_int8_does_not_wrap(tmp_path: Path) -> None:
    pixels = some("int8", H, W)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    file = read_image(tmp_path / "a.tif")
    assert file.pixels.dtype == np.int16
    np.testing.assert_array_equal(file.pixels, pixels)
    assert file.pixels.min() < 0


def test_half_precision(tmp_path: Path) -> None:
    pixels = some("float16", H, W)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    file = read_image(tmp_path / "a.tif")
    assert file.pixels.dtype == np.float32
    np.testing.assert_array_equal(file.pixels, pixels.astype(np.float32))


@pytest.mark.parametrize("dtype", ["uint32", "int32"])
def test_wide_integers_by_their_values(tmp_path: Path, dtype: str) -> None:
    pixels = np.arange(H * W, dtype=dtype).reshape(H, W)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)
    pixels[0, 0] = 70000
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(InvalidArgument, match="1 to 70000"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", [2, 4, 12])
def test_packed_bits(tmp_path: Path, bits: int) -> None:
    pixels = RNG.integers(0, 1 << bits, (H, W))
    tight = ((pixels[..., np.newaxis] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).reshape(H, -1)
    rows = [np.packbits(row).tobytes() for row in tight]  # each row ends at a byte
    file = read_image(saved(tmp_path / "a.tif", tiff([b"".join(rows)], {258: (3, bits)})))
    if bits == 12:
        assert file.pixels.dtype == np.uint16
        np.testing.assert_array_equal(file.pixels, pixels)
    else:
        np.testing.assert_array_equal(file.pixels, pixels * (255 // ((1 << bits) - 1)))
        assert any(f"{bits}-bit values stretched" in note for note in file.notes)


@pytest.mark.parametrize("white_is_0", [True, False])
def test_one_bit(tmp_path: Path, white_is_0: bool) -> None:
    bits = RNG.integers(0, 2, (H, W)).astype(np.uint8)
    for fill in (1, 2):
        packed = np.packbits(bits, axis=1, bitorder="big" if fill == 1 else "little")
        tags = {258: (3, 1), 262: (3, 0 if white_is_0 else 1), 266: (3, fill)}
        file = read_image(saved(tmp_path / "a.tif", tiff([packed.tobytes()], tags)))
        np.testing.assert_array_equal(file.pixels, ((1 - bits) if white_is_0 else bits) * 255)
        assert any("1-bit" in note for note in file.notes)
        assert any("inverted" in note for note in file.notes) == white_is_0
        assert not any("as stored" in note for note in file.notes)


def test_white_is_0(tmp_path: Path) -> None:
    for dtype in ("uint8", "uint16"):
        pixels = some(dtype, H, W)
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
        file = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(file.pixels, np.iinfo(dtype).max - pixels)
        assert any("inverted" in note for note in file.notes)
    pixels = some("float32", H, W)  # no largest value: nothing to invert at
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    file = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(file.pixels, pixels)
    assert any("as stored" in note for note in file.notes)


@pytest.mark.parametrize("low_byte", [True, False])
def test_palettes(tmp_path: Path, low_byte: bool) -> None:
    colors = some("uint8", 3, 256).astype(np.uint16)
    index = some("uint8", H, W)
    table = colors if low_byte else colors * 257
    tifffile.imwrite(tmp_path / "a.tif", index, photometric="palette", colormap=table)
    file = read_image(tmp_path / "a.tif")
    assert file.pixels.dtype == np.uint8
    np.testing.assert_array_equal(file.pixels, colors.T[index])
    short = tiff([index.tobytes()], {262: (3, 3), 320: (3, [0] * 30)})
    with pytest.raises(InvalidArgument, match="palette"):
        read_image(saved(tmp_path / "s.tif", short))


def test_a_bilevel_fax(tmp_path: Path) -> None:
    bits = np.zeros((H, W), bool)
    bits[5:20, 10:30] = True
    Image.fromarray(bits).save(tmp_path / "a.tif", compression="group4")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, bits * np.uint8(255))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_inside(tmp_path: Path, mode: str) -> None:
    y, x = np.mgrid[:H, :W]
    smooth = np.stack([y * 6, x * 5, 255 - x * 3], -1).astype(np.uint8)
    image = Image.fromarray(smooth if mode == "RGB" else smooth[..., 0])
    image.save(tmp_path / "a.tif", compression="jpeg", quality=95)
    with Image.open(tmp_path / "a.tif") as file:
        expected = np.asarray(file.convert(mode)).astype(int)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif").pixels.astype(int), expected, atol=3)


def test_orientation_is_noted_and_not_applied(tmp_path: Path) -> None:
    pixels = some("uint8", H, W)
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=[(274, 3, 1, 6, True)])
    file = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(file.pixels, pixels)
    assert any("orientation 6 not applied" in note for note in file.notes)


@pytest.mark.parametrize("options", [{"imagej": True}, {}, {"ome": True}, {"metadata": None}])
def test_stacks_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", some("uint16", 3, H, W), photometric="minisblack", **options)
    with pytest.raises(InvalidArgument, match="3 frames"):
        read_image(tmp_path / "a.tif")


def test_stacks_in_one_directory_are_refused(tmp_path: Path) -> None:
    planes = some("uint16", 3, H, W)
    described: dict[str, dict[int, tuple[int, Any]]] = {
        "ImageJ": {270: (2, b"ImageJ=1.53t\nimages=3\nslices=3\nloop=false\n")},
        "tifffile": {270: (2, b'{"shape": [3, %d, %d]}' % (H, W))},
        "SGI": {32997: (4, 3)},
        "MetaMorph": {33629: (4, list(range(3)))},
    }
    for name, tags in described.items():
        content = tiff([planes.tobytes()], {258: (3, 16)} | tags)
        with pytest.raises(InvalidArgument, match="3 frames"):
            read_image(saved(tmp_path / f"{name}.tif", content))


def test_reduced_copies_are_left_out(tmp_path: Path) -> None:
    pixels = some("uint8", H, W)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        file.write(pixels, metadata=None)
        file.write(pixels[::2, ::2], subfiletype=1, metadata=None)
    with tifffile.TiffWriter(tmp_path / "sub.tif") as file:
        file.write(pixels, subifds=1, metadata=None)
        file.write(pixels[::2, ::2], subfiletype=1, metadata=None)
    for name in ("pages.tif", "sub.tif"):
        file = read_image(tmp_path / name)
        np.testing.assert_array_equal(file.pixels, pixels)
        assert any("reduced" in note for note in file.notes)
    tifffile.imwrite(tmp_path / "thumb.tif", pixels, subfiletype=1)
    with pytest.raises(InvalidArgument, match="thumbnail"):
        read_image(tmp_path / "thumb.tif")


@pytest.mark.parametrize(
    ("dtype", "shape", "options", "words"),
    [
        ("float64", (H, W), {}, "float64"),
        ("complex64", (H, W), {}, "complex"),
        ("uint8", (H, W, 2), {"planarconfig": "contig"}, "2 channels"),
        ("uint16", (H, W, 3), {"planarconfig": "contig"}, "3 channels"),
        ("uint16", (H, W, 4), {"planarconfig": "contig"}, "4 channels"),
        ("uint8", (H, W, 5), {"photometric": "rgb", "extrasamples": [0, 0]}, "5 channels"),
        ("uint8", (H, W, 4), {"photometric": "separated"}, "SEPARATED"),
        ("uint64", (H, W), {}, "64-bit"),
    ],
)  # fmt: skip
def test_what_no_type_keeps_is_refused_by_name(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], options: dict[str, Any], words: str
) -> None:
    pixels = np.zeros(shape, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata=None, **{"photometric": "minisblack", **options})
    with pytest.raises(InvalidArgument, match=words) as caught:
        read_image(tmp_path / "a.tif")
    assert "\n" not in str(caught.value)


def test_gray_with_alpha(tmp_path: Path) -> None:
    pixels = some("uint8", H, W)
    Image.merge("LA", (Image.fromarray(pixels), Image.new("L", (W, H), 255))).save(tmp_path / "a.tif")
    file = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(file.pixels, pixels)
    assert any("alpha" in note for note in file.notes)


def test_not_finite(tmp_path: Path) -> None:
    pixels = some("float32", H, W)
    pixels[3, 4] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(InvalidArgument, match="NaN"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.97])
def test_cut_off_files_are_refused(
    tmp_path: Path, compression: str | None, kept: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Directory first, so that only pixels are missing; tifffile would fill them with zeros."""
    pixels = some("uint16", 200, 300)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, rowsperstrip=20)
    content = (tmp_path / "a.tif").read_bytes()
    saved(tmp_path / "a.tif", content[: int(len(content) * kept)])
    with caplog.at_level(logging.WARNING), pytest.raises(InvalidArgument):
        read_image(tmp_path / "a.tif")


def test_a_header_that_claims_too_much(tmp_path: Path) -> None:
    for tags, size in (({258: (3, 16)}, (H, W)), ({}, (60000, 60000)), ({}, (9000, 9000)), ({277: (3, 3)}, (H, W))):
        strip = bytes(H * W)
        with pytest.raises(InvalidArgument):
            read_image(saved(tmp_path / "a.tif", tiff([strip], {**tags, 278: (4, size[0])}, size)))
    with pytest.raises(InvalidArgument, match="strips"):  # a strip that nothing was written for
        read_image(saved(tmp_path / "a.tif", tiff([bytes(W * 20), b""], {278: (4, 20)})))


@pytest.mark.parametrize("seed", range(60))
def test_any_damage_is_a_typed_error(tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(seed)
    kinds: list[dict[str, Any]] = [{}, {"compression": "lzw"}, {"compression": 8, "predictor": 2}, {"tile": (16, 16)}]
    options = kinds[seed % 4]
    tifffile.imwrite(tmp_path / "a.tif", some("uint16", H, W), **options)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    for place in rng.integers(4, min(len(content), 420), rng.integers(1, 6)):
        content[place] = rng.integers(0, 256)
    saved(tmp_path / "a.tif", bytes(content))
    message = ""
    try:
        read_image(tmp_path / "a.tif")
    except InvalidArgument as error:
        message = str(error)
    assert "\n" not in message
    assert capfd.readouterr().err == ""
