# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files whose picture would be another one, or lie elsewhere, if the page's readers did not look twice."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nifti_builder
import numpy as np
import pytest
from dicom_builder import slice_dataset, straight, write_series
from dicom_mutations import Element, explicit, parsed
from page_reader import PageReader, differences, package_reads, page_reader
from png_parts import png_of

RNG = np.random.default_rng(1)
PALETTE = b"PLTE", RNG.integers(0, 256, 3 * 256).astype(np.uint8).tobytes()
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
GRAY, COLORS, INDEXED = 0, 2, 3


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageReader]:
    with page_reader(tmp_path_factory.mktemp("reader")) as made:
        yield made


def _rows(values: np.ndarray[Any, Any], depth: int) -> bytes:
    rows = b""
    for row in values:
        bits = np.unpackbits(row.astype(">u2" if depth == 16 else "u1").reshape(-1, 1).view(np.uint8), axis=1)
        rows += b"\0" + np.packbits(bits[:, -depth:]).tobytes()
    return rows


def png(
    values: np.ndarray[Any, Any], depth: int, kind: int, *more: tuple[bytes, bytes], interlaced: bool = False
) -> bytes:
    """A PNG file with `more` parts between its header and its pixels."""
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [values[y::down, x::across] for x, y, across, down in passes]
    rows = b"".join(_rows(part, depth) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, kind, 0, 0, int(interlaced))
    made: bytes = png_of([(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])
    return made


def values(top: int, *more: int) -> np.ndarray[Any, Any]:
    return RNG.integers(0, top, (11, 13, *more))


READ = {
    "gray": lambda **how: png(values(256), 8, GRAY, **how),
    "gray of 16 bits": lambda **how: png(values(65536), 16, GRAY, **how),
    "colors": lambda **how: png(values(256, 3), 8, COLORS, **how),
    "colors with a palette as a hint": lambda **how: png(values(256, 3), 8, COLORS, PALETTE, **how),
    "indices": lambda **how: png(values(256), 8, INDEXED, PALETTE, **how),
}


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("kind", READ)
def test_a_png_file_is_read_as_the_package_reads_it(
    reader: PageReader, kind: str, interlaced: bool, tmp_path: Path
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(READ[kind](interlaced=interlaced))
    page = reader.read(path)
    assert "error" not in page
    assert differences(page, package_reads(path), tmp_path) == []


def _short() -> bytes:
    whole = png(values(256), 8, GRAY)
    rows = zlib.compress(_rows(values(256)[:7], 8))
    header = whole[16:29]
    made: bytes = png_of([(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")])
    return made


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "an animation": (lambda: png(values(256), 8, GRAY, (b"acTL", struct.pack(">II", 2, 0))), "animation"),
    "indices without a palette": (lambda: png(values(256), 8, INDEXED), "no palette"),
    "rows that are missing": (_short, "its rows have 98 bytes, expected 154"),
    "two headers": (lambda: png(values(256), 8, GRAY, (b"IHDR", b"\0" * 13)), "two parts IHDR"),
    "few bits, interlaced": (
        lambda: png(values(16), 4, INDEXED, PALETTE, interlaced=True),
        "interlaced with less than 8 bits",
    ),
    "an index beyond the palette": (
        lambda: png(values(256), 8, INDEXED, (b"PLTE", PALETTE[1][:30])),
        "Incorrect index of palette color",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_png_file_that_is_refused(reader: PageReader, kind: str, tmp_path: Path) -> None:
    make, words = REFUSED[kind]
    path = tmp_path / "x.png"
    path.write_bytes(make())
    page = reader.read(path)
    assert words in page["error"]
    assert page["kind"] == "Error"


# Tag, VR and value.
TAGS = {
    "one spacing for two": ((0x28, 0x30), "DS", b"0.5 ", "got '0.5' for PixelSpacing"),
    "a decimal comma": ((0x28, 0x30), "DS", b"0,5\\0,7 ", "expected 2 numbers with a decimal point"),
    "two slopes": ((0x28, 0x1053), "DS", b"1\\2 ", "got '1\\2' for RescaleSlope"),
    "a hexadecimal slope": ((0x28, 0x1053), "DS", b"0x10", "got '0x10' for RescaleSlope"),
    "bits as text": ((0x28, 0x101), "DS", b"12", "for BitsStored"),
    "no sign": ((0x28, 0x103), "US", b"", "got no PixelRepresentation"),
    "a type that there is not": ((0x8, 0x70), "QQ", b"WHO ", "of no type that DICOM has"),
}


@pytest.mark.parametrize("kind", TAGS)
def test_a_dicom_tag_that_is_refused(reader: PageReader, kind: str, tmp_path: Path) -> None:
    """An attribute that is no number, or of too many, is not taken for one that is missing."""
    tag, vr, value, words = TAGS[kind]
    content = explicit(slice_dataset(np.zeros((9, 8), np.uint16)))
    elements = [element for element in parsed(content[132:]) if element.tag != tag]
    elements = sorted([*elements, Element(tag, vr, value)], key=lambda element: element.tag)
    path = tmp_path / "x.dcm"
    path.write_bytes(content[:132] + b"".join(element.encoded() for element in elements))
    page = reader.read(path)
    assert words in page.get("error", page)
    assert "x.dcm" in page["error"]


def test_files_of_windows_and_of_a_medium_are_no_slices(reader: PageReader, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    write_series(folder, np.zeros((3, 9, 8), np.int16), straight(3, 2.0))
    for name in ("Thumbs.db", "desktop.ini", "DICOMDIR"):
        (folder / name).write_bytes(b"\xd0\xcf\x11\xe0" + bytes(200))
    page = reader.read(*sorted(folder.iterdir()))
    assert differences(page, package_reads(folder), tmp_path) == []
    assert page.get("shape") == [3, 9, 8]


def test_a_volume_of_which_no_mask_could_be_saved(reader: PageReader, tmp_path: Path) -> None:
    """It is refused by its header, before there is anything to lose."""
    path = nifti_builder.save(tmp_path / "x.nii", np.zeros((2, 2, 2), np.uint8), np.eye(4))
    nifti_builder.patched(path, nifti_builder.DIM + 2, "hhh", 1000, 1000, 801)
    assert "got 1000 x 1000 x 801 voxels in x.nii, expected at most 800000000" in reader.read(path)["error"]
