# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A PNG file whose compressed data are not those of its rows is refused; Pillow leaves missing rows black."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import InvalidArgument
from medsam_engine.io import read_image
from medsam_engine.io.picture.png_rows import check_rows

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
HEIGHT, WIDTH = 64, 80
PIXELS = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
RAW = b"".join(b"\0" + row.tobytes() for row in PIXELS)
# Pixels of each pass of Adam7 by the places that PNG's specification draws (8.2), for an oracle that shares no formula.
PLACES = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]


def png(data: bytes, interlaced: bool = False, depth: int = 8, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", *size, depth, 0, 0, 0, int(interlaced))
    half = len(data) // 2  # image data may come in several parts
    parts = chunk(b"IDAT", data[:half]) + chunk(b"IDAT", data[half:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + parts + chunk(b"IEND", b"")


def test_whole_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(zlib.compress(RAW)))
    np.testing.assert_array_equal(read_image(path).pixels, PIXELS)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zlib.compress(RAW[: 30 * (WIDTH + 1)]), "its rows have 2430 bytes, where its size asks for 5184"),
        (zlib.compress(RAW + RAW[: WIDTH + 1]), "its rows have more than 5184 bytes, where its size asks for 5184"),
        (zlib.compress(RAW)[:-4], "its compressed data are cut off"),
    ],
)
def test_other_rows_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(data))
    with pytest.raises(InvalidArgument, match=f"image: got .*a.png, expected a whole picture; {words}"):
        read_image(path)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 7), (9, 13), (17, 8)])
def test_the_passes_of_interlaced_files(depth: int, size: tuple[int, int]) -> None:
    width, height = size
    wanted = 0
    for number in "1234567":
        rows = [sum(PLACES[y % 8][x % 8] == number for x in range(width)) for y in range(height)]
        wanted += sum(1 + (count * depth + 7) // 8 for count in rows if count)
    check_rows(io.BytesIO(png(zlib.compress(bytes(wanted)), True, depth, size)), "a.png")
    for other in (wanted - 1, wanted + 1):
        with pytest.raises(InvalidArgument, match="its rows have"):
            check_rows(io.BytesIO(png(zlib.compress(bytes(other)), True, depth, size)), "a.png")


def test_much_that_unpacks_from_little_is_counted_and_not_kept() -> None:
    """64 MiB of zeros in 64 KiB, for an image of 5184 bytes."""
    with pytest.raises(InvalidArgument, match="more than 5184 bytes"):
        check_rows(io.BytesIO(png(zlib.compress(bytes(1 << 26)))), "a.png")
    check_rows(io.BytesIO(png(zlib.compress(bytes(5 * (1 << 20) + 5)), size=(1 << 20, 5))), "a.png")
