# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whether a PNG file has all its rows. Pillow leaves those black that the compressed data end before."""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from medsam_engine.errors import InvalidArgument

_SIGNATURE = 8  # bytes
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type (PNG specification, 11.2.1)
# First column and row of each pass of Adam7, and the steps between its pixels (PNG specification, 8.2).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_AT_ONCE = 1 << 20  # bytes


def check_rows(file: BinaryIO, name: str) -> None:
    """InvalidArgument: the image data of an open PNG file unpack to fewer or more bytes than its rows have.

    The parts' checksums and the order in which they come are Pillow's to check. At most 1 MiB is unpacked at once.
    """
    file.seek(_SIGNATURE)
    wanted, count, unpacking = 0, 0, zlib.decompressobj()
    for kind, content in _chunks(file):
        if kind == b"IHDR":
            wanted = _raw_bytes(content)
        elif kind == b"IDAT":
            try:
                count += _unpacked(unpacking, content, wanted + 1 - count)
            except zlib.error as error:
                raise _refused(name, f"its compressed data are damaged ({error})") from error
    if count != wanted:
        got = f"{count} bytes" if count < wanted else f"more than {wanted} bytes"
        raise _refused(name, f"its rows have {got}, where its size asks for {wanted}")
    if not unpacking.eof:
        raise _refused(name, "its compressed data are cut off")


def _refused(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"image: got {name}, expected a whole picture; {why}, so save it again")


def _unpacked(unpacking: "zlib._Decompress", content: bytes, most: int) -> int:
    """How many bytes a part unpacks to, counted up to `most`."""
    count = 0
    while not unpacking.eof and count < most:
        part = unpacking.decompress(content, _AT_ONCE)
        count += len(part)
        content = unpacking.unconsumed_tail
        if not content and len(part) < _AT_ONCE:  # nothing is left inside, either
            break
    return count


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The header and the image data; other parts are passed over."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind in (b"IHDR", b"IDAT"):
            yield kind, file.read(length)
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)


def _raw_bytes(header: bytes) -> int:
    """Bytes of all rows, each with its filter before it."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _SAMPLES[color]

    def size(wide: int, high: int) -> int:
        return high * (1 + -(-wide * bits // 8)) if wide > 0 and high > 0 else 0

    if not interlaced:
        return size(width, height)
    return sum(size(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in _PASSES)
