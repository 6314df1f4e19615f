# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The ZIP file that torch.save writes: stored members below one folder, each once and apart from the others."""

from __future__ import annotations

import os
import struct
import zipfile
from collections import Counter
from typing import Any, BinaryIO

from medsam_engine.base.printable import one_line
from medsam_engine_tools.errors import ExportError

# A directory is parsed into many times its length. The largest published checkpoints have some 700 tensors.
LARGEST_DIRECTORY = 16 << 20
MOST_MEMBERS = 1 << 16
LARGEST_PICKLE = 4 << 20  # bytes, each of which may become an object of 64; LiteMedSAM's is 60 KB
PICKLE = "data.pkl"

_END = struct.Struct("<4s4H2LH")  # end of central directory: signature, ..., entries, size, offset, comment's length
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENCRYPTED = 0x1


def _check_directory(stream: BinaryIO) -> None:
    """Raises ExportError where the archive's directory is larger than a checkpoint's; nothing of it is parsed here."""
    size = stream.seek(0, os.SEEK_END)
    end = _tail(stream, size, _END)
    if end is None or end[0] != b"PK\x05\x06" or end[7] != 0:
        raise ExportError(
            "got no ZIP file that ends as torch.save's do, expected a file of torch.save since PyTorch 1.6"
        )
    entries, length = end[4], end[5]
    locator = _tail(stream, size - _END.size, _END64_LOCATOR)
    if locator is not None and locator[0] == b"PK\x06\x07":
        at = size - _END.size - _END64_LOCATOR.size
        wide = _tail(stream, at, _END64)
        if wide is None or wide[0] != b"PK\x06\x06" or locator[2] != at - _END64.size:
            raise ExportError("got a ZIP64 directory in another place than torch.save puts it, expected a whole file")
        entries, length = wide[7], wide[8]
    if entries > MOST_MEMBERS or length > LARGEST_DIRECTORY:
        raise ExportError(
            f"got a ZIP directory of {entries} members and {length} bytes, expected at most {MOST_MEMBERS} and"
            f" {LARGEST_DIRECTORY}"
        )


def _tail(stream: BinaryIO, end: int, layout: struct.Struct) -> tuple[Any, ...] | None:
    """The record that ends at byte `end`; None where the file is too short for it."""
    if end < layout.size:
        return None
    stream.seek(end - layout.size)
    block = stream.read(layout.size)
    return layout.unpack(block) if len(block) == layout.size else None


class Archive:
    """A torch file's members, by their names below its one folder."""

    def __init__(self, stream: BinaryIO) -> None:
        """ExportError: no such file, or members that are compressed, encrypted, there twice, or in one another."""
        _check_directory(stream)
        size = stream.seek(0, os.SEEK_END)
        try:
            self._zip = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, EOFError) as error:
            raise ExportError(f"got a damaged ZIP file ({one_line(str(error))}), expected a whole one") from error
        members = self._zip.infolist()
        _check_members(members, size)
        pickles = [member.filename for member in members if member.filename.endswith(f"/{PICKLE}")]
        if len(pickles) != 1:
            raise ExportError(
                f"got {len(pickles)} members {PICKLE} in the ZIP file, expected one, as torch.save writes"
            )
        folder = pickles[0].removesuffix(PICKLE)
        self._members = {m.filename.removeprefix(folder): m for m in members if m.filename.startswith(folder)}
        if "byteorder" in self._members and (order := self.read("byteorder", 16)) != b"little":
            raise ExportError(
                f"got the byte order {one_line(repr(order))}, expected little; save the weights again on such a machine"
            )

    def size(self, name: str) -> int:
        """Bytes of a member; ExportError where there is none."""
        if name not in self._members:
            raise ExportError(f"got no member {one_line(name, 100)}, which the pickle names, expected a whole file")
        return self._members[name].file_size

    def read(self, name: str, most: int) -> bytes:
        """A member's bytes, whose checksum is right; ExportError also where they are more than `most`."""
        size = self.size(name)
        if size > most:
            raise ExportError(f"got {size} bytes in {one_line(name, 100)}, expected at most {most}")
        try:
            content = self._zip.read(self._members[name])
        except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, struct.error, EOFError) as error:
            raise ExportError(f"got a damaged ZIP file ({one_line(str(error))}), expected a whole one") from error
        if len(content) != size:
            raise ExportError(f"got {len(content)} of the {size} bytes of {one_line(name, 100)}, expected a whole file")
        return content


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raises ExportError for what torch.save does not write, and what would make the file larger than it is."""
    for what, wrong in (
        ("compressed", [m for m in members if m.compress_type != zipfile.ZIP_STORED or m.compress_size != m.file_size]),
        ("encrypted", [m for m in members if m.flag_bits & _ENCRYPTED]),
    ):
        if wrong:
            raise ExportError(f"got {len(wrong)} {what} entries, which torch.save does not write, expected stored ones")
    name, count = Counter(member.filename for member in members).most_common(1)[0] if members else ("", 0)
    if count > 1:
        raise ExportError(f"got the member {one_line(name, 100)} {count} times, expected each once")
    # In one another, a small file's members would be any number of gigabytes.
    ends = sorted((member.header_offset, member.header_offset + member.compress_size) for member in members)
    starts = [start for start, _ in ends[1:]] + [size]
    if any(end > start for (_, end), start in zip(ends, starts, strict=False)):
        raise ExportError("got members that overlap or end behind the file, expected each in a place of its own")
