# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reads PNG, JPEG and TIFF as arrays for the engine, at the bit depth of the file.

Pillow reads PNG and JPEG; tifffile reads TIFF (`tiff_file`). Pillow changes some files silently: 16-bit color
becomes 8-bit, 2 and 4 bits are stretched, a palette becomes indices, alpha becomes a fourth channel, and a transparent
color is lost. Here every such change is either refused or recorded in `ImageFile.notes`. The stored pixel grid is kept:
an EXIF orientation is noted but not applied, because the caller's coordinates refer to the grid.
"""

import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import one_line
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.edge import reading
from medsam_engine.io.input_file import open_input, size_of
from medsam_engine.io.picture.png_rows import check_rows
from medsam_engine.io.picture.tiff_file import is_tiff, read_tiff

if TYPE_CHECKING:
    from PIL import Image
    from PIL import ImageFile as ImageFilePlugin

_EXIF_ORIENTATION = 0x0112
_ACCEPTED = "expected a PNG, JPEG or TIFF image, gray or RGB"


@dataclass(frozen=True)
class ImageFile:
    """Pixels (H, W) or (H, W, 3) of uint8, uint16, int16 or float32, and notes on how they were read."""

    pixels: NDArray[np.generic]
    notes: list[str] = field(default_factory=list)


def read_image(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> ImageFile:
    """Reads one image.

    Args:
        path: the file.
        max_bytes: limit on the size of its samples in bytes, checked before memory is allocated; None = a quarter of
            the memory that this process may use.

    Raises:
        InvalidArgument: the file is missing, damaged, not such an image, larger than max_bytes, or has content that
            cannot be kept unchanged.
        Unsupported: a TIFF file, and tifffile or the codec for its compression is not installed.
    """
    name, limit = os.fspath(path), ByteLimit.of(max_bytes)
    with reading(name), open_input(name) as file:
        limit.check_file(size_of(file), name)
        if is_tiff(file.read(4)):
            file.seek(0)
            return ImageFile(*read_tiff(file, name, limit))
        try:
            with _opened(file, name) as image:
                _check_size(image, name, limit)
                return _read(image, file, name)
        except (SyntaxError, EOFError) as error:  # what Pillow raises for damaged files, as ValueError and OSError
            raise InvalidArgument(f"image: got {name}, expected a readable file; {one_line(error)}") from error


def _opened(file: BinaryIO, name: str) -> "ImageFilePlugin.ImageFile":
    """As Image.open, but with the caller's limit of bytes instead of a fixed limit of pixels."""
    from PIL import Image, JpegImagePlugin, PngImagePlugin

    file.seek(0)
    start = file.read(16)
    for plugin in (PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile):
        factory, accept = Image.OPEN[plugin.format]
        if accept is not None and accept(start) is True:
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on chunks that do not matter here
                # Without the name, by which Pillow would open the file again to map it.
                return factory(file, "")
    raise InvalidArgument(f"image: got {name}, {_ACCEPTED}; its content is none of these")


def _check_size(image: "Image.Image", name: str, limit: ByteLimit) -> None:
    width, height = image.size
    wide = ";16" in _rawmode(image) and image.mode != "I"
    samples = {"P": 3, "PA": 4, "I": 4, "F": 4, "I;16": 1, "I;16B": 1}.get(image.mode, len(image.getbands()))
    limit.check(width * height * samples * (2 if wide else 1), f"{width}x{height} pixels", name)


def _read(image: "Image.Image", file: BinaryIO, name: str) -> ImageFile:
    notes: list[str] = []
    rawmode = _rawmode(image)  # before getexif(), which may load the image and forget it
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        if image.format != "MPO":  # a camera's JPEG with previews behind the picture
            raise InvalidArgument(f"image: got {frames} frames in {name}, expected 1; save the one you need")
        notes.append(f"first of {frames} pictures in the file")
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation not in (0, 1):
        notes.append(f"EXIF orientation {orientation} not applied: coordinates are those of the stored pixels")
    if rawmode in ("L;2", "L;4"):
        notes.append(f"{rawmode[-1]}-bit values stretched to 0 to 255")
    if ";16" in rawmode and image.mode != "I;16":
        pixels: NDArray[np.generic] = _read_16_bit_color(image, file, rawmode, name)
    else:
        pixels = _read_pillow_mode(image, name, notes)
    _check_transparent_color(image, pixels, name, notes)
    if image.format == "PNG":
        check_rows(file, name)
    return ImageFile(pixels, notes)


def _check_transparent_color(image: "Image.Image", pixels: NDArray[np.generic], name: str, notes: list[str]) -> None:
    """PNG's tRNS outside palettes: one gray or color that stands for nothing. Pillow keeps it beside the pixels."""
    key = image.info.get("transparency")
    if key is None or image.mode not in ("1", "L", "I;16", "RGB"):
        return
    hit = pixels == np.asarray(key, dtype=np.int64)
    if bool((hit.all(axis=-1) if pixels.ndim == 3 else hit).any()):
        raise InvalidArgument(
            f"image: got transparent pixels in {name}, {_ACCEPTED}; flatten it onto a background first"
        )
    notes.append("transparent color ignored: no pixel has it")


def _read_pillow_mode(image: "Image.Image", name: str, notes: list[str]) -> NDArray[np.generic]:
    if image.mode == "1":
        notes.append("1-bit image read as 0 and 255")
        return np.asarray(image.convert("L"))
    if image.mode in ("P", "PA"):
        entries = len(image.palette.palette) // len(image.palette.mode) if image.palette else 0
        if int(np.asarray(image).max()) >= entries:
            raise InvalidArgument(f"image: got a palette of {entries} colors in {name}, expected one for every pixel")
        notes.append("palette replaced by its colors")
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if image.mode in ("LA", "RGBA"):
        if image.getextrema()[-1] != (255, 255):
            raise InvalidArgument(
                f"image: got transparent pixels in {name}, {_ACCEPTED}; flatten it onto a background first"
            )
        notes.append("opaque alpha channel dropped")
        image = image.convert(image.mode[:-1])
    if image.mode in ("L", "RGB"):
        return np.asarray(image)
    if image.mode == "I;16":
        return np.asarray(image).astype(np.uint16)
    raise InvalidArgument(f"image: got color mode {image.mode} in {name}, {_ACCEPTED}; convert it first")


def _rawmode(image: "Image.Image") -> str:
    """How Pillow will unpack the samples, for example "RGB;16B"; "" if there is nothing to unpack."""
    tile = getattr(image, "tile", None)
    if not tile:
        return ""
    arguments = tile[0][3]
    return str(arguments if isinstance(arguments, str) else arguments[0]) if arguments else ""


def _read_16_bit_color(image: "Image.Image", file: BinaryIO, rawmode: str, name: str) -> NDArray[np.uint16]:
    """16-bit RGB, of which Pillow keeps one byte a sample. Unpacked in the other byte order it keeps the other byte."""
    little = np.little_endian
    other = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": "RGB;16B" if little else "RGB;16L"}.get(rawmode)
    if image.mode != "RGB" or other is None:
        raise InvalidArgument(f"image: got 16-bit {image.mode} in {name}, {_ACCEPTED}; save it as 16-bit RGB or gray")
    pixels = np.asarray(image).astype(np.uint16)
    pixels <<= 8
    with _opened(file, name) as again:
        again.tile = [tile._replace(args=_with_rawmode(tile.args, other)) for tile in again.tile]
        pixels |= np.asarray(again)
    return pixels


def _with_rawmode(arguments: str | tuple[Any, ...] | None, rawmode: str) -> str | tuple[Any, ...]:
    return (rawmode, *arguments[1:]) if isinstance(arguments, tuple) else rawmode
