# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NIfTI files. Read and written here rather than through SimpleITK, because a mask must carry its image's header.

Viewers differ in whether they follow the qform or the sform. A file written from a direction matrix has one meaning,
the image it belongs to may have two; only a copy of the header lies right in every viewer. The header's module says
why it is not nibabel that reads it.
"""

import itertools
import math
import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.engine_values import engine_parts, engine_values
from medsam_engine.io.input_file import open_input, size_of
from medsam_engine.io.medical_image import MedicalImage, NiftiSource, chosen_volume
from medsam_engine.io.nifti.gzip_stream import GzipStream, gzip_parts
from medsam_engine.io.nifti.header import (
    DTYPES,
    RAS_TO_LPS,
    SIZES,
    check_values,
    header_affine,
    header_spacing,
    matrix_quaternion,
    parse_header,
)

_RGB24 = 128
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", _RGB24: "u1", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8",
}  # fmt: skip
_LABEL_CODES = {1: 2, 2: 512, 4: 768}
_AFTER_HEADER = 4  # the extension flag, zeros: none follow


@dataclass(frozen=True)
class NiftiVolume:
    """One volume, rescaled, in a type the engine takes."""

    values: NDArray[np.generic]  # (D, H, W) or (D, H, W, 3)
    header: NDArray[np.void]
    color: bool
    notes: list[str]


_CHUNK = 1 << 20
_LARGEST_RATIO = 1032  # of deflate: 258 bytes for two bits


@dataclass(frozen=True)
class _Layout:
    """Where the chosen volume lies in the unpacked file."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]  # (D, H, W) or (D, H, W, 3)
    first: int  # byte of its first voxel
    end: int  # the byte after the last volume's last voxel
    words: str

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _layout(header: NDArray[np.void], volume: int | None, path: Path) -> _Layout:
    sizes = [int(n) for n in header["dim"]]
    axes = sizes[0]
    if not 1 <= axes <= 7 or min(sizes[1 : axes + 1]) < 1:
        raise InvalidArgument(f"image: got dimensions {sizes} in {path}, expected 2 to 4 axes; the header is damaged")
    if any(n > 1 for n in sizes[5 : axes + 1]):
        raise InvalidArgument(
            f"image: got {axes} axes {sizes[1 : axes + 1]} in {path}, expected at most 4; split the file"
        )
    code = int(header["datatype"])
    if code not in _TYPES:
        raise InvalidArgument(f"image: got NIfTI data type {code} in {path}, expected a real or RGB24 type; convert it")
    width, height, depth, volumes = (sizes[k] if k <= axes else 1 for k in (1, 2, 3, 4))
    index = chosen_volume(volumes, volume, path)
    dtype = np.dtype(_TYPES[code]).newbyteorder(header.dtype["dim"].base.byteorder)
    shape = (depth, height, width, 3) if code == _RGB24 else (depth, height, width)
    if not np.isfinite(header["vox_offset"]):
        raise InvalidArgument(
            f"image: got a vox_offset of {header['vox_offset']} in {path}, expected bytes; the header is damaged"
        )
    check_values(header, 8 * dtype.itemsize * (3 if code == _RGB24 else 1), path)
    start, each = int(header["vox_offset"]), math.prod(shape) * dtype.itemsize
    if start < header.dtype.itemsize:
        raise InvalidArgument(
            f"image: got a vox_offset of {start} in {path}, expected {header.dtype.itemsize} or later; "
            "the header is damaged"
        )
    words = f"{width}x{height}x{depth}x{volumes} voxels"
    return _Layout(dtype, shape, start + index * each, start + volumes * each, words)


def _check_whole(there: int, layout: _Layout, path: Path) -> None:
    if there < layout.end:
        raise InvalidArgument(
            f"image: got at most {there} bytes in {path}, expected {layout.end} for {layout.words}; the file is cut off"
        )


def _unpacked(stream: GzipStream, start: bytes, layout: _Layout, path: Path, limit: ByteLimit) -> bytearray:
    """The chosen volume of a compressed file.

    A chunk at a time, so that memory follows what is there and not what is claimed; and to the end, where the checksum
    is, but without keeping what is not asked for.
    """
    end = layout.first + layout.bytes
    kept, at = bytearray(start[layout.first : end]), len(start)
    while chunk := stream.read(_CHUNK):
        kept += chunk[max(0, layout.first - at) : max(0, end - at)]
        at += len(chunk)
        if at - layout.end > limit.max_bytes:
            raise InvalidArgument(
                f"image: got more than {limit.max_bytes} bytes behind the last voxel of {path}, expected its end; "
                "the file is damaged"
            )
    _check_whole(at, layout, path)
    return kept


def _array(content: bytearray | mmap.mmap, layout: _Layout, first: int) -> NDArray[np.generic]:
    """The voxels from byte `first` on, in the machine's byte order; `content` may be written to."""
    values = np.frombuffer(content, layout.dtype, math.prod(layout.shape), first).reshape(layout.shape)
    if layout.dtype.isnative:
        return values
    return values.byteswap(inplace=True).view(layout.dtype.newbyteorder("="))


def _stored(file: BinaryIO, layout: _Layout, path: Path, memory_map: bool) -> NDArray[np.generic]:
    """The chosen volume of a file that is not compressed: mapped where that is asked for and possible, else read."""
    if memory_map and layout.first % layout.dtype.itemsize == 0:
        try:
            # A private copy: pages that are written to are this process's own, the file stays as it is.
            whole = mmap.mmap(file.fileno(), layout.first + layout.bytes, access=mmap.ACCESS_COPY)
        except (OSError, ValueError):  # some file systems map nothing; a file that became shorter is refused below
            pass
        else:
            return _array(whole, layout, layout.first)
    content = bytearray(layout.bytes)
    file.seek(layout.first)
    if file.readinto(content) != layout.bytes:  # type: ignore[attr-defined]  # a BufferedReader reads all there is
        raise InvalidArgument(f"image: got {path}, expected {layout.end} bytes; it changed while it was read")
    return _array(content, layout, 0)


def load_volume(path: Path, volume: int | None, limit: ByteLimit, memory_map: bool = False) -> NiftiVolume:
    """One volume of the file, rescaled, in a type the engine takes.

    Raises:
        InvalidArgument: damaged, 4D and not told which, of an odd type, or larger than the limit.
    """
    with open_input(path) as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            stream = GzipStream(file) if compressed else file
            start = stream.read(max(SIZES))
            header = parse_header(start, path)
            layout = _layout(header, volume, path)
            _check_whole(size_of(file) * (_LARGEST_RATIO if compressed else 1), layout, path)
            limit.check(layout.bytes, layout.words, path)
            stored = (
                _array(_unpacked(stream, start, layout, path, limit), layout, 0)
                if isinstance(stream, GzipStream)
                else _stored(file, layout, path, memory_map)
            )
        except (EOFError, zlib.error) as error:
            raise InvalidArgument(
                f"image: got {path}, expected a whole file; its compressed data is damaged: {error}"
            ) from error
    color = len(layout.shape) == 4
    trailing = isinstance(stream, GzipStream) and stream.trailing
    notes = ["bytes after the end of the compressed data ignored"] if trailing else []
    return NiftiVolume(_rescaled(stored, header, color, path), header, color, notes)


def _rescaled(values: NDArray[np.generic], header: NDArray[np.void], color: bool, path: Path) -> NDArray[np.generic]:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    # nifti1.h: a slope of 0 means that the values are as stored. RGB is never scaled.
    if color or slope == 0 or not np.isfinite([slope, inter]).all() or (slope, inter) == (1.0, 0.0):
        return engine_values(values, path)
    if values.dtype.kind in "iu" and slope.is_integer() and inter.is_integer() and _in_64_bits(values, slope, inter):
        return engine_parts(values, lambda part: part.astype(np.int64) * int(slope) + int(inter), path)
    return engine_parts(values, lambda part: part.astype(np.float64) * slope + inter, path)


def read_nifti(path: Path, volume: int | None, limit: ByteLimit, memory_map: bool = False) -> MedicalImage:
    """Reads one volume, (D, H, W) also when D is 1.

    Raises:
        InvalidArgument: a damaged file, several volumes and none chosen, a singular or sheared affine, NaN, more than
            the limit.
    """
    loaded = load_volume(path, volume, limit, memory_map)
    affine, notes = header_affine(loaded.header, path)
    notes = [*loaded.notes, *notes]
    if affine is None:
        spacing = header_spacing(loaded.header, notes)
        direction, origin = np.eye(3), np.zeros(3)
        notes.append("the file does not say where the grid lies (qform and sform codes are 0)")
    else:
        if not np.isfinite(affine).all():
            raise InvalidArgument(
                f"geometry: got an affine with NaN in {path}, expected numbers; correct the file's header"
            )
        spacing, origin = np.linalg.norm(affine[:3, :3], axis=0), affine[:3, 3]
        if spacing.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-6:
            raise InvalidArgument(
                f"geometry: got a singular affine in {path}, expected three independent axes; correct the file's header"
            )
        direction = affine[:3, :3] / spacing
    x, y, z = (float(value) for value in spacing)
    return MedicalImage(
        array=loaded.values,
        spacing=(x, y, z),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=direction,
        modality="",
        path=path,
        color=loaded.color,
        positioned=affine is not None,
        source=NiftiSource(loaded.header.tobytes() if loaded.header.dtype.isnative else _swapped(loaded.header)),
        notes=tuple(notes),
    )


def _in_64_bits(values: NDArray[np.generic], slope: float, inter: float) -> bool:
    """Whether every value of this type, rescaled, is a 64-bit integer; NumPy's would wrap."""
    bounds = np.iinfo(values.dtype)  # type: ignore[type-var]  # of integers only, as the caller has seen
    return max(-int(bounds.min), int(bounds.max)) * abs(int(slope)) + abs(int(inter)) < 1 << 63


def _swapped(header: NDArray[np.void]) -> bytes:
    return header.astype(header.dtype.newbyteorder("=")).tobytes()


def nifti_parts(
    labels: NDArray[np.generic], dtype: np.dtype[np.generic], reference: MedicalImage, compress: bool
) -> Iterator[bytes]:
    """A NIfTI file of unsigned integer labels (D, H, W) or (H, W) as `dtype`, on the grid of `reference`, in parts."""
    header = _header_for(reference)
    volume = labels[np.newaxis] if labels.ndim == 2 else labels
    depth, height, width = volume.shape
    header["dim"] = (3, width, height, depth, 1, 1, 1, 1)
    header["datatype"], header["bitpix"] = _LABEL_CODES[dtype.itemsize], 8 * dtype.itemsize
    header["vox_offset"] = header.dtype.itemsize + _AFTER_HEADER
    for name, value in (("scl_slope", 1), ("scl_inter", 0), ("cal_max", 0), ("cal_min", 0), ("intent_code", 0)):
        header[name] = value
    header["intent_p"], header["intent_name"], header["aux_file"] = 0, b"", b""
    header["descrip"] = b"medsam-engine label map"
    native = dtype.newbyteorder("=")
    slices = (np.ascontiguousarray(part, dtype=native).tobytes() for part in volume)
    parts = itertools.chain([header.tobytes() + bytes(_AFTER_HEADER)], slices)
    return gzip_parts(parts) if compress else parts


def _header_for(reference: MedicalImage) -> NDArray[np.void]:
    if isinstance(reference.source, NiftiSource):
        content = reference.source.header
        return np.frombuffer(bytearray(content), DTYPES[SIZES[len(content)]])[0:1].reshape(())
    header = np.zeros((), DTYPES[1])
    header["sizeof_hdr"], header["magic"] = 348, b"n+1"
    header["xyzt_units"] = 2 if reference.spaced else 0  # mm, or unknown
    header["regular"] = b"r"
    ras = RAS_TO_LPS @ reference.affine  # its own inverse
    quatern, qfac = matrix_quaternion(ras[:3, :3] / np.asarray(reference.spacing))
    header["pixdim"] = (qfac, *reference.spacing, 1, 1, 1, 1)
    header["qform_code"] = header["sform_code"] = 1 if reference.positioned and reference.spaced else 0
    header["quatern"], header["qoffset"], header["srow"] = quatern, ras[:3, 3], ras[:3]
    return header
