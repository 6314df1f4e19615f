# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a compressed DICOM frame says of its own size, which decoders believe before they look at the DICOM header."""

from dataclasses import dataclass

# ITU-T T.81 B.1.1.3 and T.87: start of frame of any process, but for DHT (C4), JPG (C8) and DAC (CC).
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
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
    at = len(_JPEG)
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _START_OF_FRAME:
            if at + 10 > len(frame):
                return None
            height, width = (int.from_bytes(frame[k : k + 2], "big") for k in (at + 5, at + 7))
            return FrameSize(width, height, frame[at + 9], frame[at + 4])
        else:
            at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return None


def _jpeg_2000_size(segment: bytes) -> FrameSize | None:
    # Lsiz, Rsiz (2 bytes each), Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz (4 each), Csiz (2), Ssiz (1).
    if len(segment) < 39:
        return None
    right, bottom, left, top = (int.from_bytes(segment[k : k + 4], "big") for k in range(4, 20, 4))
    return FrameSize(right - left, bottom - top, int.from_bytes(segment[36:38], "big"), (segment[38] & 0x7F) + 1)
