# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""read and write: any of the formats, one image or label map at a time."""

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base import whole_file
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.file import read_dicom_file
from medsam_engine.io.dicom.quiet import quiet_dicom
from medsam_engine.io.dicom.seg import check_seg, seg_bytes
from medsam_engine.io.dicom.series import read_dicom_series
from medsam_engine.io.edge import reading
from medsam_engine.io.extras import require
from medsam_engine.io.formats import Format, input_format, output_format, suffix_of
from medsam_engine.io.itk.file import itk_bytes, read_itk
from medsam_engine.io.label_names import check_names
from medsam_engine.io.medical_image import DicomSource, MedicalImage
from medsam_engine.io.nifti.file import nifti_parts, read_nifti
from medsam_engine.io.npz_file import load_arrays, npz_bytes, read_npz


def read(
    path: str | os.PathLike[str],
    *,
    volume: int | None = None,
    series: str | None = None,
    max_bytes: int | None = None,
    skip_unreadable: bool = False,
    memory_map: bool = False,
) -> MedicalImage:
    """Reads NIfTI, NRRD, MetaImage, DICOM (a file or a series' folder), PNG, JPEG, TIFF or the challenge's NPZ.

    Voxels stay in the file's order; nothing is resampled or reoriented. The format is determined by the name, or by the
    content if the name has no known ending.

    Args:
        path: a file, or a folder of DICOM files.
        volume: index from 0 of the volume in a 4D NIfTI, NRRD or MetaImage file.
        series: SeriesInstanceUID of the series to read, if the folder holds several.
        max_bytes: limit on the size of the voxels in the file's own type, in bytes, checked before memory is allocated;
            None = a quarter of the memory that this process may use.
        skip_unreadable: for a folder, skip files that look like slices but cannot be read, with a note on what is
            missing and where, instead of refusing the series.
        memory_map: map an uncompressed NIfTI file into memory instead of reading it, if the file system supports it.
            Writing to the array does not change the file. Use this only if nobody rewrites the file while the array is
            in use: the array would change with the file, and if the file is truncated, the system kills a process that
            reads the missing part (SIGBUS).

    Raises:
        InvalidArgument: the file is missing, not a regular file, damaged, larger than max_bytes, ambiguous (4D, two
            series), or its geometry is not valid (singular or sheared axes, missing slices, NaN).
        OutOfMemory: an allocation failed.
        Unsupported: an optional library or decoder is not installed.
    """
    where, limit = Path(path), ByteLimit.of(max_bytes)
    with reading(where):
        if skip_unreadable and not where.is_dir():
            raise InvalidArgument(f"skip_unreadable: got it for the file {where}, expected a folder; leave it out")
        return _read(where, volume, series, limit, skip_unreadable, memory_map)


def _read(
    where: Path,
    volume: int | None,
    series: str | None,
    limit: ByteLimit,
    skip: bool = False,
    memory_map: bool = False,
) -> MedicalImage:
    kind = input_format(where)
    if series is not None and not where.is_dir():
        raise InvalidArgument(f"series: got {series} for the file {where}, expected a folder; leave it out")
    if kind is Format.NIFTI:
        return read_nifti(where, volume, limit, memory_map)
    if kind is Format.ITK:
        return read_itk(where, volume, limit)
    if volume is not None:
        raise InvalidArgument(f"volume: got {volume} for {where}, expected a 4D NIfTI, NRRD or MHA file; leave it out")
    if kind is Format.DICOM:
        with quiet_dicom():
            return read_dicom_series(where, series, limit, skip) if where.is_dir() else read_dicom_file(where, limit)
    return read_npz(where, limit) if kind is Format.NPZ else _read_picture(where, limit)


def _read_picture(path: Path, limit: ByteLimit) -> MedicalImage:
    require("PIL", f"reading {path}")
    from medsam_engine.io.picture.image_file import read_image

    picture = read_image(path, max_bytes=limit.max_bytes)
    return MedicalImage(
        array=picture.pixels,
        spacing=(1.0, 1.0, 1.0),
        origin=(0.0, 0.0, 0.0),
        direction=np.eye(3),
        modality="",
        path=path,
        color=picture.pixels.ndim == 3,
        spaced=False,
        positioned=False,
        notes=tuple(picture.notes),
    )


def read_labels(
    path: str | os.PathLike[str], *, volume: int | None = None, max_bytes: int | None = None
) -> tuple[NDArray[np.generic], MedicalImage]:
    """Reads a label map: unsigned integers (D, H, W) or (H, W), and the MedicalImage with its grid.

    From an NPZ file, `segs` is read, or `gts` if there is no `segs`.

    Args:
        path: a file, or a folder of DICOM files.
        volume: as for `read`.
        max_bytes: as for `read`.

    Raises:
        InvalidArgument: as for `read`; also if the values are not whole numbers of 0 or more, or the image is in color.
    """
    where, limit = Path(path), ByteLimit.of(max_bytes)
    with reading(where, "labels"):
        image = _npz_labels(where, limit) if input_format(where) is Format.NPZ else _read(where, volume, None, limit)
        return _as_labels(image, where), image


def _as_labels(image: MedicalImage, where: Path) -> NDArray[np.generic]:
    values = image.array
    if image.color:
        raise InvalidArgument(f"labels: got a color image in {where}, expected one label a voxel; write a label map")
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise InvalidArgument(f"labels: got fractions in {where}, expected whole numbers; write a label map")
    if values.size and float(values.min()) < 0:
        raise InvalidArgument(f"labels: got {values.min()} in {where}, expected 0 or more; write a label map")
    return values.astype(label_dtype(values), copy=False)


def _npz_labels(path: Path, limit: ByteLimit) -> MedicalImage:
    (values,) = load_arrays(path, ("segs", "gts"), limit=limit).values()
    if values.dtype.kind not in "iub" or values.ndim not in (2, 3):
        raise InvalidArgument(
            f"labels: got {values.dtype} of shape {values.shape} in {path}, expected integers (D, H, W) or (H, W); "
            "write a label map"
        )
    return MedicalImage(
        array=values, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), direction=np.eye(3), modality="", path=path,
        spaced=False, positioned=False,
    )  # fmt: skip


_LARGEST_LABEL = {Format.IMAGE: 65535, Format.DICOM: 65535}  # 16-bit gray, PS3.3 C.8.20.2 SegmentNumber; others 32 bits


def label_dtype(labels: NDArray[np.generic]) -> type[np.unsignedinteger]:
    """The narrowest of uint8, uint16 and uint32 that holds the highest label."""
    highest = int(labels.max(initial=0))
    if highest > 0xFFFFFFFF:
        raise InvalidArgument(f"labels: got label {highest}, expected at most 4294967295; renumber them")
    return np.uint8 if highest <= 255 else np.uint16 if highest <= 65535 else np.uint32


def check_output(
    path: str | os.PathLike[str],
    reference: MedicalImage,
    highest: int = 1,
    *,
    names: Mapping[int, str] | None = None,
) -> None:
    """Checks, before the work is done, that a mask of `reference` can be written. InvalidArgument, Unsupported if not.

    For a DICOM SEG, this reads the headers of the series and creates a SEG in memory.

    Args:
        path: as for `write`.
        reference: as for `write`.
        highest: the largest label that the mask may have.
        names: as for `write`.
    """
    where = Path(path)
    _check_place(where, reference)
    kind = output_format(where)
    check_names(names or {}, kind is Format.DICOM)
    limit = _LARGEST_LABEL.get(kind, 0xFFFFFFFF)
    if highest > limit:
        raise InvalidArgument(
            f"labels: got label {highest} for {where}, expected at most {limit} in this format; renumber them, or "
            "choose .nii.gz, .nrrd, .mha or .npz"
        )
    bits = 8 if highest <= 255 else 16 if highest <= 65535 else 32
    bytes_raw = math.prod(reference.grid) * bits // 8
    # A compressed file may be this much smaller: 258 bytes for two bits, deflate's most.
    whole_file.check_writable(where, bytes_raw if suffix_of(where) == ".nii" else max(1, bytes_raw // 1032))
    if kind is Format.DICOM:
        check_seg(reference)


def _check_place(where: Path, reference: MedicalImage) -> None:
    kind = output_format(where)
    if kind is Format.IMAGE and reference.is_volume and reference.grid[0] != 1:
        raise InvalidArgument(
            f"output: got {where} for a volume of {reference.grid[0]} slices, expected a volume format; "
            "choose .nii.gz, .nrrd, .mha, .npz or .dcm"
        )
    if kind is Format.DICOM and not isinstance(reference.source, DicomSource):
        raise InvalidArgument(
            f"output: got {where} for {reference.path}, expected a DICOM image behind a DICOM SEG; "
            "choose .nii.gz, .nrrd, .mha, .png or .npz"
        )
    if isinstance(reference.source, DicomSource) and where.exists():
        for file in reference.source.files:
            if file.exists() and file.samefile(where):
                raise InvalidArgument(
                    f"output: got {where}, which is the image's own file {file}, expected different files; rename it"
                )
    whole_file.check_writable(where)


def write(
    path: str | os.PathLike[str],
    labels: NDArray[np.generic],
    reference: MedicalImage,
    *,
    names: Mapping[int, str] | None = None,
    derived_uids: bool = False,
) -> str:
    """Writes a label map on the grid of `reference`, atomically; the format is determined by the name.

    .nii[.gz], .nrrd and .mha have the geometry of the reference, .dcm is a DICOM SEG that refers to its files, and
    .png and .npz (key `segs`) have no geometry. Labels are stored as uint8 up to 255, else uint16, else uint32.

    Args:
        path: name that ends in .nii.gz, .nii, .nrrd, .mha, .png, .npz or .dcm.
        labels: unsigned integers of shape `reference.grid`, 0 = background.
        reference: the image that was segmented, from `read`.
        names: names by label, for formats that hold names: DICOM SEG (SegmentLabel, up to 64 characters) and NRRD (the
            fields of 3D Slicer, which a .seg.nrrd has even without names). The default name is "label 3" for label 3.
        derived_uids: the UIDs of a DICOM SEG follow from its images and labels, and its dates are those of the images,
            so that the same labels give the same file; otherwise they are random and of now.

    Returns:
        A description of what was written, for people.

    Raises:
        InvalidArgument: the shape or type is another, a label is too large or a name is unfit for the format, or the
            file cannot be written.
        Unsupported: an optional library is not installed.
    """
    content, about = label_file(path, labels, reference, names=names, derived_uids=derived_uids)
    whole_file.write_atomically(Path(path), content)
    return about


def label_file(
    path: str | os.PathLike[str],
    labels: NDArray[np.generic],
    reference: MedicalImage,
    *,
    names: Mapping[int, str] | None = None,
    derived_uids: bool = False,
) -> tuple[bytes | Iterable[bytes], str]:
    """What `write` writes, whole or in parts, and what it returns; arguments and errors are those of `write`."""
    where = Path(path)
    _check_place(where, reference)
    if labels.dtype.kind != "u" or labels.shape != reference.grid:
        raise InvalidArgument(
            f"labels: got {labels.dtype} of shape {labels.shape}, expected unsigned integers {reference.grid}; "
            "write the label map of this image"
        )
    kind = output_format(where)
    check_names(names or {}, kind is Format.DICOM)
    dtype = np.dtype(label_dtype(labels))
    bits = 8 * dtype.itemsize
    ending = suffix_of(where)
    if kind is Format.NIFTI:
        return nifti_parts(labels, dtype, reference, ending == ".nii.gz"), f"{bits}-bit {ending[1:]}"
    narrow = np.ascontiguousarray(labels, dtype=dtype)
    if kind is Format.ITK:
        # Neither NRRD nor MetaImage, as ITK writes them, can leave the spacing out; NIfTI says that it has no unit.
        placeholder = "" if reference.spaced else ", spacing unknown and written as 1"
        return itk_bytes(where, narrow, reference, names), f"{bits}-bit {ending[1:]}{placeholder}"
    if kind is Format.NPZ:
        return npz_bytes(narrow), f"{bits}-bit {ending[1:]}"
    if kind is Format.DICOM:
        return seg_bytes(narrow, reference, names=names, derived=derived_uids), "DICOM SEG"
    require("PIL", f"writing {where}")
    from medsam_engine.io.picture.png_file import label_map_bytes

    return label_map_bytes(narrow[0] if narrow.ndim == 3 else narrow), f"{bits}-bit PNG"
