# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a DICOM file will unpack to, known before a decoder is asked: of a deflated dataset, and of pixel data."""

import io
import zlib
from collections.abc import Iterable
from typing import Any, BinaryIO

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.extras import require

_CHUNK = 1 << 20
_RLE = "1.2.840.10008.1.2.5"
_LARGEST_RLE_RATIO = 64  # a run of 128 bytes from two (PS3.5 G.3.1)


def inflated(packed: BinaryIO, path: object, limit: ByteLimit) -> io.BytesIO:
    """The rest of `packed`, a dataset in Deflated Explicit VR Little Endian (PS3.5 A.5), inflated.

    Raises:
        InvalidArgument: cut off, or more than the limit.
        zlib.error: damaged.
    """
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    content = io.BytesIO()
    while not unpack.eof:
        packed_chunk = unpack.unconsumed_tail or packed.read(_CHUNK)
        if not packed_chunk:
            raise InvalidArgument(f"image: got {path}, expected a whole file; its deflated dataset is cut off")
        content.write(unpack.decompress(packed_chunk, _CHUNK))
        if content.tell() > limit.max_bytes:
            raise InvalidArgument(
                f"image: got more than {limit.max_bytes} bytes in the deflated dataset of {path}, expected at most "
                "that; raise the limit with --max-bytes (max_bytes=) if the file is to be trusted"
            )
    content.seek(0)
    return content


def check_pixels(dataset: Any, path: object, limit: ByteLimit) -> None:
    """Checks what the pixel data will be decoded to by the dataset, with which `compressed` compares the frames.

    Raises:
        InvalidArgument: more than the limit, or an RLE segment that is longer than its plane.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
    bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
    allocated = next((n for name, n in bits.items() if name in dataset), int(dataset.get("BitsAllocated") or 8))
    if min(rows, columns, frames, samples, allocated) < 1:
        raise InvalidArgument(
            f"image: got {rows} rows, {columns} columns, {frames} frames of {samples} samples of {allocated} bits in "
            f"{path}, expected 1 or more of each; the file is damaged"
        )
    plane = (rows * columns * allocated + 7) // 8
    words = f"{columns}x{rows} pixels, {frames} frames, {samples} samples of {allocated} bits"
    limit.check(frames * samples * plane, words, str(path))
    syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
    if syntax != _RLE or "PixelData" not in dataset:
        return
    encaps = require("pydicom.encaps", f"reading {path}")
    for frame in encaps.generate_frames(dataset.PixelData, number_of_frames=frames):
        _check_rle(frame, rows * columns, path, limit)


def _check_rle(frame: bytes, plane: int, path: object, limit: ByteLimit) -> None:
    """RLE (PS3.5 G): a segment is unpacked whole by pydicom before it is compared with the plane that it should be."""
    if len(frame) * _LARGEST_RLE_RATIO <= limit.max_bytes or len(frame) < 64:
        return
    count = min(15, int.from_bytes(frame[:4], "little"))
    starts = [int.from_bytes(frame[4 * k : 4 * k + 4], "little") for k in range(1, count + 1)]
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        if _unpacked_size(frame[start:end], 2 * plane + 256) > 2 * plane + 256:
            raise InvalidArgument(
                f"image: got an RLE segment of more than {2 * plane} bytes in {path}, expected {plane} of a plane; "
                "the file is damaged"
            )


def _unpacked_size(segment: Iterable[int], enough: int) -> int:
    """Bytes that an RLE segment unpacks to, counted until they are more than `enough`."""
    total, values = 0, iter(segment)
    for header in values:
        literal = header < 128
        count = header + 1 if literal else 257 - header
        if header != 128:
            total += count
            for _ in range(count if literal else 1):
                next(values, None)
        if total > enough:
            break
    return total
