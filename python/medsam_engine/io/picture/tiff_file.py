# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""TIFF files, through tifffile: the samples that the header describes, in a type the engine takes.

tifffile gives samples as they are stored. What it leaves open is decided here: which of several pictures, what the
samples mean (palette, inverted, alpha), and whether what came back is what the header says.
"""

import itertools
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.packages import pip_install
from medsam_engine.errors import InvalidArgument, Unsupported
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.engine_values import engine_values
from medsam_engine.io.extras import require
from medsam_engine.io.input_file import size_of
from medsam_engine.io.palettes import eight_bit_palette

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF 6.0, and BigTIFF
_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_JPEG = (6, 7)
_UNSIGNED, _SIGNED, _REAL, _UNDEFINED = 1, 2, 3, 4  # SampleFormat
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_STACK_TAGS = {33629: "MetaMorph", 32997: "ImageDepth"}  # planes in one directory, one after another
_MOST_PICTURES = 1000
_EXPECTED = "expected gray or RGB of 8 or 16 bits, or float32"


@dataclass(frozen=True)
class _Bounds:
    """Bytes of the file, and how many it may decode to."""

    size: int
    limit: ByteLimit


def is_tiff(start: bytes) -> bool:
    """Whether a file with these first four bytes is a TIFF or BigTIFF file."""
    return start[:4] in _MAGIC


def read_tiff(stream: BinaryIO, name: str, limit: ByteLimit) -> tuple[NDArray[np.generic], list[str]]:
    """Pixels (H, W) or (H, W, 3), uint8, uint16, int16 or finite float32, and notes about what was done to them.

    Raises:
        InvalidArgument: damaged, several pictures, more than the limit, or samples that no type here keeps unchanged.
        Unsupported: tifffile or a codec is not installed.
    """
    tifffile = require("tifffile", f"reading {name}")
    try:
        with _quiet_tifffile(), tifffile.TiffFile(stream, name=Path(name).name, _multifile=False) as file:
            return _read(file, name, _Bounds(size_of(stream), limit))
    except (InvalidArgument, Unsupported, MemoryError):
        raise
    except Exception as error:  # tifffile and the codecs behind it raise nearly every kind for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        if "imagecodecs" in reason:
            raise Unsupported(
                f"image: got a compression without decoder in {name}, expected one; "
                f"{pip_install('imagecodecs')}, or save the file uncompressed ({reason})"
            ) from error
        raise InvalidArgument(f"image: got {name}, expected a readable TIFF file; {reason}") from error


@contextmanager
def _quiet_tifffile() -> Iterator[None]:
    """Keeps tifffile from logging to the terminal; what it warns of is checked here."""
    logger = logging.getLogger("tifffile")
    before, handler = logger.propagate, logging.NullHandler()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


def _read(file: Any, name: str, bounds: _Bounds) -> tuple[NDArray[np.generic], list[str]]:
    notes: list[str] = []
    page = _only_page(file, name, notes)
    orientation = int(page.tags.valueof(274, 1) or 1)
    if orientation != 1:
        notes.append(f"orientation {orientation} not applied: coordinates are those of the stored pixels")
    _check_kind(page, name)
    samples = _samples(page, name, bounds)
    photometric = int(page.photometric)
    if photometric == _PALETTE:
        notes.append("palette replaced by its colors")
        return _colored(samples[..., 0], page, name), notes
    samples = _without_extra(samples, page, name, notes)
    values = samples[..., 0] if samples.shape[-1] == 1 else samples
    if photometric == _WHITE_IS_0:
        values = _inverted(values, page, notes)
    return _engine_type(values, page, name, notes), notes


def _only_page(file: Any, name: str, notes: list[str]) -> Any:
    pages = list(itertools.islice(file.pages, _MOST_PICTURES + 1))
    if len(pages) > _MOST_PICTURES:  # each is looked up in a time that grows with their number
        raise InvalidArgument(
            f"image: got more than {_MOST_PICTURES} pictures in {name}, expected 1; save the one you need"
        )
    if not pages:
        raise InvalidArgument(f"image: got no picture in {name}, expected one; the file is damaged")
    first = pages[0]
    if int(first.subfiletype or 0) & _REDUCED:
        raise InvalidArgument(
            f"image: got a thumbnail as the first picture of {name}, expected the picture itself; save it on its own"
        )
    others = [page for page in pages[1:] if not int(page.subfiletype or 0) & (_REDUCED | _MASK)]
    frames = max(1 + len(others), _frames_of(first))
    if frames > 1:
        raise InvalidArgument(f"image: got {frames} frames in {name}, expected 1; save the one you need")
    left_out = len(pages) - 1 + len(first.subifds or ())
    if left_out:
        notes.append(f"first of {1 + left_out} pictures in the file; the others are reduced copies or masks")
    return first


def _frames_of(page: Any) -> int:
    """How many planes the directory holds by what it says outside TIFF's own tags; 1 when it says nothing.

    ImageJ (large stacks), tifffile, MetaMorph and SGI keep the planes of a stack one after another in one directory.
    """
    frames = 1
    for text in (page.description, page.description1):
        images = re.search(r"^images=(\d+)", text or "", re.MULTILINE) if "ImageJ=" in (text or "") else None
        if images:
            frames = max(frames, int(images[1]))
        if (text or "").startswith("{"):
            frames = max(frames, _frames_of_shape(text, page))
    for tag in _STACK_TAGS:
        if tag in page.tags:
            found = page.tags[tag]
            frames = max(frames, int(found.value) if tag == 32997 else int(found.count))
    return frames


def _frames_of_shape(text: str, page: Any) -> int:
    """Of tifffile's own description, {"shape": [3, 80, 100], ...}."""
    try:
        shape = json.loads(text).get("shape", ())
        return int(np.prod([int(n) for n in shape], dtype=object)) // max(1, int(np.prod(page.shape, dtype=object)))
    except (ValueError, TypeError, AttributeError):
        return 1


def _name_of(value: Any) -> str:
    return str(getattr(value, "name", value))


def _check_kind(page: Any, name: str) -> None:
    """Refuses by name what no rule here covers."""
    bits, kind, samples = page.bitspersample, page.sampleformat, int(page.samplesperpixel)
    if isinstance(bits, tuple) or isinstance(kind, tuple):
        raise InvalidArgument(f"image: got samples of different types in {name}, {_EXPECTED}; convert it")
    photometric = int(page.photometric)
    gray = photometric in (_WHITE_IS_0, _BLACK_IS_0)
    color = photometric == _RGB or (photometric == _YCBCR and int(page.compression) in _JPEG)
    if not (gray or color or photometric == _PALETTE):
        raise InvalidArgument(f"image: got color mode {_name_of(page.photometric)} in {name}, {_EXPECTED}; convert it")
    alpha = any(int(extra) in (1, 2) for extra in page.extrasamples)
    wanted = (1, 2) if gray and alpha else (1,) if not color else (3, 4)
    if samples not in wanted:
        raise InvalidArgument(
            f"image: got {samples} channels as {_name_of(page.photometric)} in {name}, {_EXPECTED}; save the one you "
            "need, or RGB"
        )
    integer = kind in (_UNSIGNED, _SIGNED, _UNDEFINED) and bits <= 32
    if not integer and not (kind == _REAL and bits in (16, 32)):
        words = {_UNSIGNED: "unsigned", _SIGNED: "signed", _REAL: "float"}.get(int(kind), "complex")
        got = f"float{bits}" if kind == _REAL else f"{bits}-bit {words} samples"
        raise InvalidArgument(f"image: got {got} in {name}, {_EXPECTED}; convert it first")


def _samples(page: Any, name: str, bounds: _Bounds) -> NDArray[np.generic]:
    """The samples (H, W, S) as stored, all of them there."""
    height, width, count = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
    if count > 1 and int(page.planarconfig) not in (1, 2):  # tifffile takes any other number for planes
        raise InvalidArgument(
            f"image: got PlanarConfiguration {int(page.planarconfig)} in {name}, expected 1 (pixels) or "
            "2 (planes); the file is damaged"
        )
    _check_size(page, name, (height, width, count), bounds)
    stored: NDArray[np.generic] = page.asarray(maxworkers=1)
    if page.axes == "SYX" or (count > 1 and stored.shape == (count, height, width)):
        stored = np.moveaxis(stored, 0, -1)
    if count == 1 and stored.shape == (height, width):
        stored = stored[..., np.newaxis]
    kinds = {_UNSIGNED: "ub", _UNDEFINED: "ub", _SIGNED: "i", _REAL: "f"}[int(page.sampleformat)]
    if stored.shape != (height, width, count) or stored.dtype.kind not in kinds:
        raise InvalidArgument(
            f"image: got {stored.dtype} of shape {stored.shape} from {name}, expected {width}x{height} pixels of "
            f"{count} samples of {page.bitspersample} bits as its header says; save it anew"
        )
    return stored


def _check_size(page: Any, name: str, shape: tuple[int, int, int], bounds: _Bounds) -> None:
    """Refuses what the file cannot hold before memory is asked for; tifffile would fill missing parts with zeros."""
    height, width, count = shape
    if min(height, width) < 1:
        raise InvalidArgument(f"image: got {width}x{height} pixels in {name}, expected some; the file is damaged")
    each = (int(page.bitspersample) + 7) // 8 * (3 if int(page.photometric) == _PALETTE else count)
    bounds.limit.check(height * width * each, f"{width}x{height} pixels", name)
    if page.is_tiled:
        tile = (int(page.tilewidth), int(page.tilelength), int(page.tiledepth or 1))
        words = "x".join(map(str, tile[:2]))
        bounds.limit.check(int(np.prod(tile, dtype=object)) * each, f"a tile of {words} pixels", name)
    parts = int(np.prod(page.chunked, dtype=object))
    counts = [int(n) for n in page.databytecounts]
    size = bounds.size
    ends = [int(start) + n for start, n in zip(page.dataoffsets, counts, strict=False)]
    stored = sum(counts) if int(page.compression) == 1 else None
    wanted = height * ((width * int(page.bitspersample) + 7) // 8) * count
    if page.planarconfig == 1 and count > 1:
        wanted = height * ((width * count * int(page.bitspersample) + 7) // 8)
    whole = len(ends) >= parts and all(n > 0 for n in counts[:parts]) and max(ends[:parts]) <= size
    if not whole or (stored is not None and stored < wanted):
        raise InvalidArgument(
            f"image: got {size} bytes in {name}, expected all of {parts} strips or tiles of {width}x{height} pixels; "
            "the file is cut off or damaged"
        )


def _colored(index: NDArray[np.generic], page: Any, name: str) -> NDArray[np.uint8]:
    table = page.colormap
    entries = 1 << int(page.bitspersample)
    if page.sampleformat != _UNSIGNED or table is None or np.shape(table) != (3, entries):
        raise InvalidArgument(
            f"image: got a palette of shape {np.shape(table)} in {name}, expected 3 x {entries} colors for "
            f"{page.bitspersample} bits; save it as RGB"
        )
    return eight_bit_palette(np.asarray(table).T)[index.astype(np.intp)]


def _without_extra(samples: NDArray[np.generic], page: Any, name: str, notes: list[str]) -> NDArray[np.generic]:
    """Drops a channel after gray or RGB: an alpha channel that hides nothing, or one of no stated meaning."""
    if samples.shape[-1] in (1, 3):
        return samples
    alpha = samples[..., -1]
    extras = tuple(int(extra) for extra in page.extrasamples)
    if extras and extras[-1] == 0:
        notes.append("fourth channel, of unspecified meaning, dropped")
    elif samples.dtype.kind != "u" or bool((alpha != (1 << int(page.bitspersample)) - 1).any()):
        raise InvalidArgument(
            f"image: got transparent pixels in {name}, {_EXPECTED}; flatten it onto a background first"
        )
    else:
        notes.append("opaque alpha channel dropped")
    return samples[..., :-1]


def _inverted(values: NDArray[np.generic], page: Any, notes: list[str]) -> NDArray[np.generic]:
    """Bright is large in every other file, and for every model. Without a largest value there is nothing to invert."""
    if values.dtype.kind not in "ub":
        notes.append(f"TIFF stores white as 0: {values.dtype} values used as stored")
        return values
    notes.append("TIFF stores white as 0: inverted, so that bright is large")
    wide = values.astype(np.uint64 if values.dtype.itemsize > 4 else np.uint32)
    top = np.asarray((1 << int(page.bitspersample)) - 1, wide.dtype)
    return np.asarray(top - wide).astype(np.uint8 if values.dtype.kind == "b" else values.dtype)


def _engine_type(values: NDArray[np.generic], page: Any, name: str, notes: list[str]) -> NDArray[np.generic]:
    bits = int(page.bitspersample)
    if values.dtype.kind in "ub" and bits < 8:
        notes.append("1-bit image read as 0 and 255" if bits == 1 else f"{bits}-bit values stretched to 0 to 255")
        top = (1 << bits) - 1
        return ((values.astype(np.uint16) * 255 + top // 2) // top).astype(np.uint8)
    if values.dtype.kind == "f":
        return engine_values(values, Path(name))
    if bits <= 8 and values.dtype.kind == "i":
        return values.astype(np.int16)
    return narrowed(values, name) if bits > 16 else values


def narrowed(pixels: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    """Wider integers in 16 bits, where their values fit: uint16 first. InvalidArgument: they do not."""
    low, high = int(pixels.min()), int(pixels.max())
    for dtype in (np.uint16, np.int16):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return pixels.astype(dtype)
    raise InvalidArgument(f"image: got values {low} to {high} in {name}, expected 16 bits; rescale it first")
