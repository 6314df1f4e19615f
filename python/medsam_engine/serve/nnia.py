# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NNIA, the packed arrays of nnInteractive's protocol: a header, and Blosc2 chunks.

    "NNIA", version 1, codec 1 (Zstandard) or 2 (LZ4), number of axes, length of the dtype's name: 8 bytes
    dtype's name in NumPy's words
    shape: int64 per axis
    number of chunks: uint32; of each chunk: raw length uint64, packed length uint64, the chunk

All numbers are little-endian, values in C order. Everything is checked before memory is asked for: what is unpacked is
never larger than the caller allows, and the dtypes and the features of Blosc2 are those of the lists below.
"""

from __future__ import annotations

import math
import struct

import blosc2
import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument

_MAGIC, _VERSION = b"NNIA", 1
_CODECS = (1, 2)
_ZSTD = 1
_MOST_AXES = 4
_CHUNK_BYTES = 1 << 30  # Blosc2 takes lengths below 2^31
_DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
        *("float16", "float32", "float64"),
    )
}

# Blosc2's chunk header (README_CHUNK_FORMAT of c-blosc2): version, codec's version, flags, item size; raw, block and
# packed length; the codes of six filters; in the last byte further flags.
_CHUNK_HEADER = struct.Struct("<BBBBIII")
_CHUNK_HEADER_BYTES = 32
_FORMATS = (3, 4, 5)
_EXTENDED, _MEMCPYED = 0x05, 0x02
_LZ4, _ZSTANDARD = 1, 4  # the three upper bits of the flags
_FILTERS = (0, 1)  # none, byte shuffle
_ZEROS = 0x10  # the chunk is zeros; other special chunks hold NaN, or leave memory as it was


class BadArray(InvalidArgument):
    """The bytes are no packed array, or one that is not taken."""


def pack(array: NDArray[np.generic]) -> bytes:
    """Packs an array of one of the dtypes with Zstandard. BadArray: another dtype, or more than four axes."""
    name = array.dtype.name
    if name not in _DTYPES or not 1 <= array.ndim <= _MOST_AXES:
        raise BadArray(f"array: got {name} with {array.ndim} axes, expected a number type and 1 to {_MOST_AXES} axes")
    values = np.ascontiguousarray(array, dtype=_DTYPES[name])
    raw = values.reshape(-1).view(np.uint8)
    starts = range(0, raw.nbytes, _CHUNK_BYTES)
    parts = [
        struct.pack("<4sBBBB", _MAGIC, _VERSION, _ZSTD, array.ndim, len(name)),
        name.encode("ascii"),
        struct.pack(f"<{array.ndim}qI", *array.shape, len(starts)),
    ]
    for start in starts:
        piece = raw[start : start + _CHUNK_BYTES]
        # The item size must divide the length, or Blosc2 writes chunks of zeros that it cannot read.
        chunk = blosc2.compress2(
            piece,
            typesize=values.itemsize,
            codec=blosc2.Codec.ZSTD,
            clevel=3,
            filters=[blosc2.Filter.NOFILTER],
            nthreads=1,
        )
        parts += [struct.pack("<QQ", piece.nbytes, len(chunk)), chunk]
    return b"".join(parts)


def unpack(data: bytes | bytearray | memoryview, most_bytes: int) -> NDArray[np.generic]:
    """The array, C-contiguous, in the machine's byte order; bool values are 0 or 1.

    Args:
        data: the packed array and nothing after it.
        most_bytes: the most that the values may take in memory.

    Raises:
        BadArray: `data` is none, is cut off, has more than it says, or says more than `most_bytes`.
    """
    reader = _Reader(memoryview(data).cast("B"))
    magic = bytes(reader.bytes(len(_MAGIC), "header"))
    version, codec, axes, length = reader.take("<BBBB", "header")
    if magic != _MAGIC or version != _VERSION or codec not in _CODECS:
        raise BadArray("array: got bytes that are no packed array of version 1, expected NNIA")
    name = bytes(reader.bytes(length, "dtype")).decode("ascii", "replace")
    dtype = _DTYPES.get(name)
    if dtype is None:
        raise BadArray("array: got a dtype that is not taken, expected one of " + ", ".join(_DTYPES))
    if not 1 <= axes <= _MOST_AXES:
        raise BadArray(f"array: got {axes} axes, expected 1 to {_MOST_AXES}")
    shape = reader.take(f"<{axes}q", "shape")
    if min(shape) < 0:
        raise BadArray("array: got a negative length of an axis, expected 0 or more")
    total = math.prod(shape) * dtype.itemsize
    # NumPy refuses axes that would be too long together even where a further one of 0 leaves no values.
    most_asked = math.prod(length for length in shape if length) * dtype.itemsize
    if most_asked > most_bytes:
        raise BadArray(f"array: got axes for {most_asked} bytes of values, expected at most {most_bytes}")
    (chunks,) = reader.take("<I", "number of chunks")
    # Zeros, so that nothing of what was in memory before can ever show.
    raw = np.zeros(total, np.uint8)
    written = 0
    for _ in range(chunks):
        written += _unpack_chunk(reader, raw[written:], dtype.itemsize)
    if written != total:
        raise BadArray(f"array: got {written} bytes in chunks, expected {total}")
    if reader.left:
        raise BadArray(f"array: got {reader.left} bytes after the last chunk, expected none")
    if name == "bool":
        flags: NDArray[np.generic] = (raw != 0).reshape(shape)
        return flags
    values: NDArray[np.generic] = raw.view(dtype).reshape(shape)
    native: NDArray[np.generic] = values.astype(dtype.newbyteorder("="), copy=False)
    return native


def _unpack_chunk(reader: _Reader, out: NDArray[np.uint8], itemsize: int) -> int:
    """Unpacks a chunk to the beginning of `out`; the number of bytes. BadArray."""
    raw, packed = reader.take("<QQ", "chunk")
    if raw == 0 or raw > out.nbytes or raw % itemsize:
        raise BadArray(f"array: got a chunk of {raw} bytes, expected 1 to {out.nbytes} in steps of {itemsize}")
    chunk = reader.bytes(packed, "chunk")
    _check_chunk(chunk, raw)
    try:
        blosc2.decompress2(chunk, dst=out[:raw], nthreads=1)
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadArray("array: got a damaged chunk, expected one that Blosc2 can unpack") from error
    return int(raw)


def _check_chunk(chunk: memoryview, raw: int) -> None:
    """Refuses what Blosc2 has beyond plain compressed chunks: other filters and codecs, dictionaries, lazy chunks."""
    if chunk.nbytes < _CHUNK_HEADER_BYTES:
        raise BadArray(f"array: got a chunk of {chunk.nbytes} bytes, expected at least {_CHUNK_HEADER_BYTES}")
    form, _, flags, itemsize, length, block, packed = _CHUNK_HEADER.unpack_from(chunk)
    codec = flags >> 5
    plain = (
        form in _FORMATS
        and flags & _EXTENDED == _EXTENDED
        and (codec in (_LZ4, _ZSTANDARD) or flags & _MEMCPYED)
        and not flags & 0x08  # reserved
        and itemsize > 0
        and all(code in _FILTERS for code in chunk[16:22])
        and chunk[31] in (0, _ZEROS)
    )
    if not plain:
        raise BadArray("array: got a chunk with features of Blosc2 that are not taken, expected Zstandard or LZ4")
    if length != raw or packed != chunk.nbytes or not 0 < block <= max(raw, itemsize):
        raise BadArray(f"array: got a chunk whose header says {length} bytes, expected {raw}")


class _Reader:
    """Takes parts off the front; BadArray where there are too few bytes."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return self._data.nbytes - self._at

    def bytes(self, count: int, what: str) -> memoryview:
        if count > self.left:
            raise BadArray(f"array: got the end within its {what}, expected {count - self.left} bytes more")
        part = self._data[self._at : self._at + count]
        self._at += count
        return part

    def take(self, form: str, what: str) -> tuple[int, ...]:
        return struct.unpack(form, self.bytes(struct.calcsize(form), what))
