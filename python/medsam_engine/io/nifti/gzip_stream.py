# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""gzip as `gzip -d` reads it: what follows the last member is ignored, where Python's gzip fails on it."""

import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

_CHUNK = 1 << 16
_MAGIC = b"\x1f\x8b"
_WITH_HEADER = 31  # zlib's wbits for gzip, checksum and length included


class GzipStream:
    """Unpacks members one after another, a bounded number of bytes at a time.

    Attributes:
        trailing: whether there was something other than zeros after the last member; known at the end.
    """

    def __init__(self, file: BinaryIO) -> None:
        """`file` is read from where it stands, and stays open."""
        self.trailing = False
        self._file = file
        self._packed = b""
        self._member: zlib._Decompress | None = zlib.decompressobj(_WITH_HEADER)

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end.

        Raises:
            EOFError: the file ends within a member.
            zlib.error: damaged, by its checksum for example.
        """
        parts: list[bytes] = []
        left = size
        while left and self._member is not None:
            if not self._packed:
                self._packed = self._file.read(_CHUNK)
                if not self._packed:
                    raise EOFError("it ends before its checksum")
            part = self._member.decompress(self._packed, left)
            self._packed = self._member.unconsumed_tail
            parts.append(part)
            left -= len(part)
            if self._member.eof:
                self._packed = self._member.unused_data
                self._begin_member()
        return b"".join(parts)

    def _begin_member(self) -> None:
        """The next member, where one follows; zeros in between are padding."""
        while True:
            rest = self._packed.lstrip(b"\0")
            if len(rest) >= len(_MAGIC):
                break
            more = self._file.read(_CHUNK)
            self._packed = rest + more
            if not more:
                break
        self._packed = self._packed.lstrip(b"\0")
        another = self._packed.startswith(_MAGIC)
        self._member = zlib.decompressobj(_WITH_HEADER) if another else None
        self.trailing = self.trailing or (bool(self._packed) and not another)


def gzip_parts(parts: Iterable[bytes]) -> Iterator[bytes]:
    """`parts`, one after another, as one gzip member without a name or a time: the same bytes give the same file."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _WITH_HEADER)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()
