# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The parts of PNG files, to put together as no writer would."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks_of(content: bytes) -> list[tuple[bytes, bytes]]:
    """The parts of a PNG file."""
    found, at = [], len(SIGNATURE)
    while at < len(content):
        length = struct.unpack_from(">I", content, at)[0]
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A file of these parts, with their checksums."""
    parts = [
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in chunks
    ]
    return SIGNATURE + b"".join(parts)
