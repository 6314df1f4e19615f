# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Pixel data through pydicom's decoders, whose errors leave as the package's own."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.packages import pip_install
from medsam_engine.base.printable import one_line
from medsam_engine.errors import InvalidArgument, Unsupported
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.compressed import check_codestreams, plugin_for
from medsam_engine.io.dicom.jpeg_lossless import native
from medsam_engine.io.dicom.limit import check_pixels
from medsam_engine.io.dicom.quiet import quiet_dicom
from medsam_engine.io.extras import require

# What decodes compressed frames in pydicom; highdicom brings pyjpegls.
_DECODERS = ("pylibjpeg", "pylibjpeg-openjpeg", "highdicom", "imagecodecs")


def decompressed(
    dataset: Any, path: Path, notes: list[str], keep_unused_bits: bool, limit: ByteLimit
) -> NDArray[np.generic]:
    """All frames of a dataset at once; what the decoder warns of is added to `notes`.

    Raises:
        InvalidArgument: more than the limit, damaged, or other than the header says.
        Unsupported: a compression for which no decoder is installed.
    """
    pixels = require("pydicom.pixels", f"reading {path}")
    # pydicom masks unused bits for some transfer syntaxes only; of gray images stored_values masks them for all.
    options: dict[str, Any] = {"correct_unused_bits": False} if keep_unused_bits else {}
    with _decoding(dataset, path):
        check_pixels(dataset, path, limit)
        check_codestreams(dataset, path)
        options["decoding_plugin"] = plugin_for(dataset)
        with quiet_dicom(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            values: NDArray[np.generic] = pixels.pixel_array(native(dataset, path), raw=False, **options)
    notes += [one_line(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    return values


def decoded_frames(dataset: Any, path: Path, limit: ByteLimit) -> Iterator[NDArray[np.generic]]:
    """The frames (rows, columns) of a dataset of one sample per pixel, as stored, one after another.

    One frame at a time is in memory; the limit still counts all of them, in the file's own bits per pixel.

    Raises:
        InvalidArgument: as decompressed, and fewer or more frames than NumberOfFrames.
        Unsupported: as decompressed.
    """
    pixels = require("pydicom.pixels", f"reading {path}")
    frames = int(dataset.get("NumberOfFrames") or 1)
    with _decoding(dataset, path):
        check_pixels(dataset, path, limit)
        check_codestreams(dataset, path)
        # Packed bits become bytes, of one frame at a time.
        plane = int(dataset.Rows) * int(dataset.Columns)
        limit.check(plane, f"a frame of {dataset.Columns}x{dataset.Rows} pixels", path)
    syntax = dataset.file_meta.TransferSyntaxUID
    if dataset.BitsAllocated == 1 and not syntax.is_encapsulated and syntax.is_little_endian:
        yield from _packed_frames(dataset, frames, path)
        return
    count = 0
    with _decoding(dataset, path), quiet_dicom():
        source = pixels.iter_pixels(native(dataset, path), raw=True, decoding_plugin=plugin_for(dataset))
    while True:
        with _decoding(dataset, path), quiet_dicom():
            frame: NDArray[np.generic] | None = next(source, None)
        if frame is None:
            break
        count += 1
        yield frame
    if count != frames:
        raise InvalidArgument(f"image: got {count} frames of {frames} in {path}, expected all; the file is damaged")


def _packed_frames(dataset: Any, frames: int, path: Path) -> Iterator[NDArray[np.generic]]:
    """Frames of one bit per pixel, which follow each other without a gap (PS3.5 8.1.1).

    pydicom 3.0.2 reads too few bytes of a frame that begins within a byte, and then refuses it.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    plane = rows * columns
    content = np.frombuffer(dataset.get("PixelData") or b"", np.uint8)
    needed = (frames * plane + 7) // 8
    if len(content) < needed:
        raise InvalidArgument(
            f"image: got {len(content)} bytes of pixels in {path}, expected {needed} for {frames} frames of "
            f"{columns}x{rows} bits; the file is damaged"
        )
    for frame in range(frames):
        start, end = frame * plane, (frame + 1) * plane
        bits = np.unpackbits(content[start // 8 : (end + 7) // 8], bitorder="little")
        yield bits[start % 8 : start % 8 + plane].reshape(rows, columns)


@contextmanager
def _decoding(dataset: Any, path: Path) -> Iterator[None]:
    try:
        yield
    except (InvalidArgument, Unsupported):
        raise
    except NotImplementedError as error:
        raise Unsupported(f"image: got {path}, expected a decodable transfer syntax; {one_line(error)}") from error
    except RuntimeError as error:
        syntax = dataset.file_meta.TransferSyntaxUID.name
        if "missing dependencies" in str(error) or "does not support" in str(error):
            raise Unsupported(
                f"image: got {syntax} in {path}, expected a compression with a decoder; "
                f"{pip_install(*_DECODERS)}, or decompress the file first ({one_line(error)})"
            ) from error
        raise InvalidArgument(f"image: got {path}, expected whole pixel data ({syntax}); {one_line(error)}") from error
    except StopIteration as error:
        raise InvalidArgument(
            f"image: got fewer frames than NumberOfFrames {dataset.NumberOfFrames} in {path}, expected all; "
            "the file is damaged"
        ) from error
    except (ValueError, AttributeError, EOFError, TypeError, LookupError, ArithmeticError, struct.error) as error:
        raise InvalidArgument(f"image: got {path}, expected whole pixel data; {one_line(error)}") from error
