# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a compressed DICOM frame says of itself, which decoders believe before they look at the DICOM header."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# ITU-T T.81 B.1.1.3 and T.87: start of frame of any process, but for DHT (C4), JPG (C8) and DAC (CC).
START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
# What ends entropy-coded data: any marker, which the stuffed FF 00 is not. FF may be repeated before it (B.1.1.2).
_MARKER = re.compile(rb"\xff(?!\x00)\xff*(.)", re.DOTALL)
_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"


@dataclass(frozen=True)
class FrameSize:
    """Pixels, components and bits per sample that a codestream claims."""

    width: int
    height: int
    components: int
    bits: int


def claimed_size(frame: bytes) -> FrameSize | None:
    """The size in the header of a JPEG, JPEG-LS or JPEG 2000 codestream, bare or in a JP2 file; None if unreadable."""
    if frame.startswith(_JPEG):
        return _jpeg_size(frame)
    # A JP2 file has boxes before the codestream; ISO/IEC 15444-1 A.5.1 has SIZ right behind SOC.
    start = frame.find(_JPEG_2000)
    return _jpeg_2000_size(frame[start + len(_JPEG_2000) :]) if start >= 0 else None


def _jpeg_size(frame: bytes) -> FrameSize | None:
    for marker, start, _ in segments(frame):
        if marker in START_OF_FRAME:
            body = frame[start : start + 6]
            if len(body) < 6:
                return None
            return FrameSize(int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big"), body[5], body[0])
    return None


def segments(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker of a JPEG stream that has a length, up to the end of the image, and where its content is."""
    at = len(_JPEG)
    while at + 4 <= len(frame):
        marker = frame[at + 1]
        if frame[at] != 0xFF or marker == _END_OF_IMAGE:
            return
        if marker == 0xFF:  # fill bytes
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            start, at = at + 4, at + 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
            yield marker, start, at
            if marker == _START_OF_SCAN:
                at = entropy_coded(frame, at)[-1].stop


def entropy_coded(frame: bytes, start: int) -> list[slice]:
    """The parts of a scan's data that begins at `start`, between its restart markers."""
    parts = []
    while True:
        found = _MARKER.search(frame, start)
        parts.append(slice(start, found.start() if found else len(frame)))
        if found is None or not 0xD0 <= found[1][0] <= 0xD7:
            return parts
        start = found.end()


def _jpeg_2000_size(segment: bytes) -> FrameSize | None:
    # Lsiz, Rsiz (2 bytes each), Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz (4 each), Csiz (2), Ssiz (1).
    if len(segment) < 39:
        return None
    right, bottom, left, top = (int.from_bytes(segment[k : k + 4], "big") for k in range(4, 20, 4))
    return FrameSize(right - left, bottom - top, int.from_bytes(segment[36:38], "big"), (segment[38] & 0x7F) + 1)
