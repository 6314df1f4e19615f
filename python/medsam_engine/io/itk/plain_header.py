# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A NRRD or MetaImage header of the plain form, read by us so that ITK never reads one that we have not written.

Both formats let a header name its data: another file, a list or a pattern of files, at any offset. Two parsers that
differ in one spelling would differ in which file is opened. So the header is parsed strictly (nrrd_header.py,
meta_header.py), the data file is opened here, and ITK gets a new header with the known fields only, beside a link to
the file that is open, or a copy of it where the system has no such links.
"""

import contextlib
import dataclasses
import math
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.input_file import open_input, size_of
from medsam_engine.io.itk.text_voxels import binary_voxels

LARGEST_HEADER = 1 << 20  # bytes
LARGEST_SKIP = 1 << 16  # lines
_LARGEST_RATIO = 1032  # of deflate: 258 bytes for two bits
_CHUNK = 1 << 20
LARGEST = 1e100  # number in a header. ITK adds up squares: where they overflow, it takes the spacing for 1 mm
# Files by number: a format, the least number, the most, the step.
_PATTERN = re.compile(r"%.*\s[-+]?\d+\s+[-+]?\d+\s+[-+]?\d+")
_ZLIB_OR_GZIP = 47  # zlib's wbits for either header, told apart by itself
_DATA = "voxels"  # what ITK knows the data file as
# Links to the open files, on Linux; wine shows them to programs that cannot follow them.
_DESCRIPTORS = Path("/proc/self/fd")
_HAS_LINKS = sys.platform == "linux" and _DESCRIPTORS.is_dir()


@dataclass(frozen=True)
class PlainHeader:
    """What a header says.

    Attributes:
        fields: known fields that say what the voxels are and where they lie, in their canonical spelling.
        sizes: voxels along each axis, the fastest first, components included.
        dtype: of one sample, a name of NumPy's.
        encoding: raw, gzip or ascii.
        data_file: a plain name, or None where the data follows the header.
        start: byte behind the header, where attached data begins.
        lines: lines between the header and the data.
        skip: bytes between these lines and the data; -1: the data ends the file.
        packed: bytes of compressed data, where the header says so.
        little_endian: whether the voxels have been made little-endian, whatever the header said.
    """

    fields: dict[str, str]
    sizes: tuple[int, ...]
    dtype: str
    encoding: str
    data_file: str | None
    start: int
    lines: int = 0
    skip: int = 0
    packed: int | None = None
    little_endian: bool = False

    @property
    def claimed(self) -> int:
        """Bytes of the voxels, unpacked."""
        return math.prod(self.sizes) * np.dtype(self.dtype).itemsize

    @property
    def words(self) -> str:
        """The sizes for a message."""
        return f"{'x'.join(map(str, self.sizes))} voxels"


@dataclass(frozen=True)
class HeaderFormat:
    """How a format's headers are read, and written with (header, name of the data file, byte of the data, packed)."""

    suffix: str
    image_io: str
    read: Callable[[BinaryIO, Path], PlainHeader]
    write: Callable[[PlainHeader, str, int, int], str]


def not_plain(path: Path, got: str, expected: str = "a plain header") -> InvalidArgument:
    """The error of a header that is not of the plain form."""
    raise InvalidArgument(
        f"image: got {got} in {path}, expected {expected}; write it again with SimpleITK or 3D Slicer"
    )


def read_lines(file: BinaryIO, path: Path) -> Iterator[tuple[str, int]]:
    """The header's lines and the byte behind each, until the caller has enough or the file ends.

    A line ends with LF or CR LF. InvalidArgument: 1 MiB without an end, or a control character.
    """
    content = file.read(LARGEST_HEADER)
    at = 0
    while at < len(content):
        end = content.find(b"\n", at)
        if end < 0 and len(content) == LARGEST_HEADER:
            break
        line = content[at : len(content) if end < 0 else end].removesuffix(b"\r")
        if any((byte < 32 and byte != 9) or byte == 127 for byte in line):
            raise not_plain(path, f"a control character at byte {at} or later of the header")
        at = len(content) if end < 0 else end + 1
        yield line.decode("utf-8", "replace"), at
    if at >= LARGEST_HEADER or len(content) == LARGEST_HEADER:
        raise not_plain(path, f"a header of more than {LARGEST_HEADER} bytes", "at most that")


def plain_name(value: str, path: Path) -> str:
    """`value` as the name of one file in the header's folder. InvalidArgument: a path, a list or a pattern."""
    list_like = value.split(maxsplit=1)[:1] == ["LIST"] or _PATTERN.search(value)
    if list_like or "/" in value or "\\" in value or value in ("", ".", "..") or not value.isprintable():
        raise not_plain(path, f"the data file '{value}'", "the name of one file in the same folder")
    return value


def whole_number(value: str, least: int, name: str, path: Path) -> int:
    """`value` as an int of plain digits. InvalidArgument."""
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19) or int(value) < least:
        raise not_plain(path, f"{name} '{value}'", f"a whole number of {least} or more")
    return int(value)


def numbers(value: str, count: int, name: str, path: Path) -> str:
    """`value` again, once it is known to be `count` numbers of at most LARGEST. InvalidArgument."""
    words = value.split()
    try:
        finite = all(len(word) <= 40 and abs(float(word)) <= LARGEST and "_" not in word for word in words)
    except ValueError:
        finite = False
    if len(words) != count or not finite:
        raise not_plain(path, f"{name} '{value}'", f"{count} numbers")
    return " ".join(words)


@contextlib.contextmanager
def open_data(header: PlainHeader, file: BinaryIO, path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file with the voxels, and the byte where they, or the lines before them, begin.

    InvalidArgument: the data file is missing, no regular file, or by a link outside the header's folder.
    """
    if header.data_file is None:
        yield file, header.start
        return
    with open_input(path.parent / header.data_file, "image") as data:
        # By what was opened, not by its name, so that no link can be put in its place in between.
        if _folder_of(data, path.parent / header.data_file) != os.path.realpath(path.parent):
            not_plain(
                path, f"the data file '{header.data_file}', a link out of the folder", "a file in the same folder"
            )
        yield data, 0


def _folder_of(data: BinaryIO, named: Path) -> str | None:
    """The folder in which an open file lies; None where the name that it was opened by leads elsewhere meanwhile."""
    if _HAS_LINKS:
        return os.path.dirname(os.path.realpath(_DESCRIPTORS / str(data.fileno())))
    real = os.path.realpath(named)
    same = os.path.samestat(os.stat(real), os.fstat(data.fileno()))
    return os.path.dirname(real) if same else None


def data_offset(header: PlainHeader, data: BinaryIO, start: int, path: Path) -> int:
    """The byte where the voxels begin, once all that the header claims is known to be there. InvalidArgument."""
    data.seek(start)
    for _ in range(header.lines):
        if not data.readline(LARGEST_HEADER).endswith(b"\n"):
            raise not_plain(path, f"a line skip of {header.lines}", "as many lines before the data")
    offset, size = data.tell() + max(0, header.skip), size_of(data)
    if header.skip == -1:
        offset = size - header.claimed
    there = size - offset
    if header.packed is not None and header.packed > there:
        raise not_plain(
            path, f"{header.packed} bytes of compressed data", f"at most the {max(0, there)} that there are"
        )
    least = {
        "raw": header.claimed,
        "gzip": header.claimed / _LARGEST_RATIO,
        "ascii": 2 * math.prod(header.sizes) - 1,
    }[header.encoding]
    if header.encoding == "raw" and there > header.claimed:  # of another type or size, then, and every voxel is wrong
        raise InvalidArgument(
            f"image: got {path}, whose header claims {header.words}, {header.claimed} bytes, for {there} bytes, "
            "expected as many; correct its type and sizes, or skip what lies before the data"
        )
    if offset < start or there < least:
        raise InvalidArgument(
            f"image: got {path}, whose header claims {header.words}, {header.claimed} bytes, for {max(0, there)} "
            "bytes, expected a whole file; its data is missing"
        )
    return offset


def _check_unpacked(header: PlainHeader, data: BinaryIO, offset: int, packed: int, path: Path) -> None:
    """Refuses compressed data that is damaged or unpacks to another size; ITK prints, and gives what there is.

    Nothing is kept, so that it costs time but no memory. InvalidArgument.
    """
    data.seek(offset)
    unpack, count, left = zlib.decompressobj(_ZLIB_OR_GZIP), 0, packed
    try:
        while not unpack.eof and count <= header.claimed:
            chunk = unpack.unconsumed_tail
            if not chunk:
                chunk = data.read(min(_CHUNK, left))
                left -= len(chunk)
            if not chunk:
                break
            count += len(unpack.decompress(chunk, _CHUNK))
    except zlib.error as error:
        raise InvalidArgument(
            f"image: got {path}, expected a whole file; its compressed data is damaged: {error}"
        ) from error
    if count != header.claimed or not unpack.eof:
        more = "more than " if count > header.claimed else ""
        raise InvalidArgument(
            f"image: got {more}{count} bytes of unpacked data in {path}, expected {header.claimed} of {header.words}; "
            "the file is cut off, or its header has another type or size"
        )


@contextlib.contextmanager
def canonical_file(
    header: PlainHeader, form: HeaderFormat, file: BinaryIO, path: Path, limit: ByteLimit
) -> Iterator[Path]:
    """A header that ITK may read: of our own writing, in a folder of our own, beside a link to the open data file.

    InvalidArgument: more than the limit, data that is not there, or not in the header's folder.
    """
    with (
        open_data(header, file, path) as (data, start),
        tempfile.TemporaryDirectory(prefix="medsam-engine-") as name,
    ):
        folder = Path(name)
        offset = data_offset(header, data, start, path)
        limit.check(header.claimed, header.words, path)
        packed = size_of(data) - offset if header.packed is None else header.packed
        if header.encoding == "gzip":
            _check_unpacked(header, data, offset, packed, path)
        if header.encoding == "ascii":
            data.seek(offset)
            voxels = binary_voxels(data, math.prod(header.sizes), header.dtype, path)
            (folder / _DATA).write_bytes(voxels)
            header, offset = dataclasses.replace(header, encoding="raw", little_endian=True), 0
        elif (header.encoding == "raw" or offset == 0) and _HAS_LINKS:
            (folder / _DATA).symlink_to(_DESCRIPTORS / str(data.fileno()))
        else:  # neither format can skip bytes in front of compressed data, and not every system has such links
            with (folder / _DATA).open("wb") as copy:
                data.seek(offset)
                shutil.copyfileobj(data, copy, _CHUNK)
            offset = 0
        whole = folder / f"image{form.suffix}"
        whole.write_bytes(form.write(header, _DATA, offset, packed).encode("ascii"))  # "\n" on every system
        yield whole
