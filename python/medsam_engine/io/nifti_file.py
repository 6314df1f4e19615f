# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NIfTI files. Read and written here rather than through a library, because a mask must carry its image's header.

Viewers differ in whether they follow the qform or the sform. A file written from a direction matrix has one meaning,
the image it belongs to may have two; only a copy of the header lies right in every viewer.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.gzip_stream import GzipStream
from medsam_engine.io.medical_image import MedicalImage, NiftiSource, chosen_volume, engine_values
from medsam_engine.io.nifti_header import (
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
    """One volume in its own type, before it is made ready for the engine."""

    values: NDArray[np.generic]  # (D, H, W) or (D, H, W, 3)
    header: NDArray[np.void]
    colour: bool
    notes: list[str]


_CHUNK = 1 << 20


def _end(header: NDArray[np.void], sizes: list[int]) -> int:
    """The byte after the last voxel, as the header has it; 0 when it makes no sense."""
    dtype = _TYPES.get(int(header["datatype"]))
    start = float(header["vox_offset"])
    if dtype is None or not 1 <= sizes[0] <= 7 or min(sizes[1 : sizes[0] + 1]) < 1 or not np.isfinite(start):
        return 0
    channels = 3 if int(header["datatype"]) == _RGB24 else 1
    return max(0, int(start)) + math.prod(sizes[1 : sizes[0] + 1]) * channels * np.dtype(dtype).itemsize


def _content(path: Path) -> tuple[bytes, NDArray[np.void], list[str]]:
    """The file's bytes as far as its header says that there are voxels, decompressed; that header; and notes."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if not compressed:
        content = path.read_bytes()
        return content, parse_header(content, path), []
    try:
        with path.open("rb") as file:
            unpacked = GzipStream(file)
            content = unpacked.read(max(SIZES))
            header = parse_header(content, path)
            end = _end(header, [int(n) for n in header["dim"]])
            kept = bytearray(content)
            # A chunk at a time, so that memory follows what is there and not what is claimed; and to the end, where the
            # checksum is, but without keeping what no voxel is.
            while chunk := unpacked.read(_CHUNK):
                kept += chunk[: max(0, end - len(kept))]
            notes = ["bytes after the end of the compressed data ignored"] if unpacked.trailing else []
            return bytes(kept), header, notes
    except (EOFError, zlib.error) as error:
        raise InvalidArgument(
            f"image: got {path}, expected a whole file; its compressed data is damaged: {error}"
        ) from error


def load_volume(path: Path, volume: int | None) -> NiftiVolume:
    """One volume of the file, rescaled. InvalidArgument: damaged, 4D and not told which, or of an odd type."""
    content, header, notes = _content(path)
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
    colour = code == _RGB24
    dtype = np.dtype(_TYPES[code]).newbyteorder(header.dtype["dim"].base.byteorder)
    count = width * height * depth * (3 if colour else 1)
    if not np.isfinite(header["vox_offset"]):
        raise InvalidArgument(
            f"image: got a vox_offset of {header['vox_offset']} in {path}, expected bytes; the header is damaged"
        )
    check_values(header, 8 * dtype.itemsize * (3 if colour else 1), path)
    start = int(header["vox_offset"])
    if start < header.dtype.itemsize or start + volumes * count * dtype.itemsize > len(content):
        raise InvalidArgument(
            f"image: got {len(content)} bytes in {path}, expected {start + volumes * count * dtype.itemsize} "
            f"for {width}x{height}x{depth}x{volumes} voxels; the file is cut off"
        )
    values = np.frombuffer(content, dtype, count, start + index * count * dtype.itemsize)
    shape = (depth, height, width, 3) if colour else (depth, height, width)
    native = values.reshape(shape).astype(dtype.newbyteorder("="))
    return NiftiVolume(_rescaled(native, header, colour), header, colour, notes)


def _rescaled(values: NDArray[np.generic], header: NDArray[np.void], colour: bool) -> NDArray[np.generic]:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    # nifti1.h: a slope of 0 means that the values are as stored. RGB is never scaled.
    if colour or slope == 0 or not np.isfinite([slope, inter]).all() or (slope, inter) == (1.0, 0.0):
        return values
    if values.dtype.kind in "iu" and slope.is_integer() and inter.is_integer():
        return values.astype(np.int64) * int(slope) + int(inter)
    return values.astype(np.float64) * slope + inter


def read_nifti(path: Path, volume: int | None = None) -> MedicalImage:
    """Reads one volume, (D, H, W) also when D is 1.

    Raises:
        InvalidArgument: a damaged file, several volumes and none chosen, a singular or sheared affine, NaN.
    """
    loaded = load_volume(path, volume)
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
        array=engine_values(loaded.values, path),
        spacing=(x, y, z),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=direction,
        modality="",
        path=path,
        colour=loaded.colour,
        positioned=affine is not None,
        source=NiftiSource(loaded.header.tobytes() if loaded.header.dtype.isnative else _swapped(loaded.header)),
        notes=tuple(notes),
    )


def _swapped(header: NDArray[np.void]) -> bytes:
    return header.astype(header.dtype.newbyteorder("=")).tobytes()


def nifti_bytes(labels: NDArray[np.generic], reference: MedicalImage, compress: bool) -> bytes:
    """A NIfTI file of unsigned integer labels (D, H, W) or (H, W), on the grid of `reference`."""
    header = _header_for(reference)
    volume = labels[np.newaxis] if labels.ndim == 2 else labels
    depth, height, width = volume.shape
    header["dim"] = (3, width, height, depth, 1, 1, 1, 1)
    header["datatype"], header["bitpix"] = _LABEL_CODES[labels.dtype.itemsize], 8 * labels.dtype.itemsize
    header["vox_offset"] = header.dtype.itemsize + _AFTER_HEADER
    for name, value in (("scl_slope", 1), ("scl_inter", 0), ("cal_max", 0), ("cal_min", 0), ("intent_code", 0)):
        header[name] = value
    header["intent_p"], header["intent_name"], header["aux_file"] = 0, b"", b""
    header["descrip"] = b"medsam-engine label map"
    content = header.tobytes() + bytes(_AFTER_HEADER) + volume.astype(volume.dtype.newbyteorder("=")).tobytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if compress else content


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
