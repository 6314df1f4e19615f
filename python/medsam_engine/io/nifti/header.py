# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NIfTI-1 and NIfTI-2 headers: fields, and where they say the grid lies.

Layout and formulas: nifti1.h and nifti2.h of the NIfTI data format working group (nifti.nimh.nih.gov).

nibabel 5.4.2 was tried on 2026-11-28 and is not used. Only the two tables below could go. It repairs what is
refused here (a negative or zero pixdim beside a qform, a wrong sizeof_hdr) or taken as it stands (a sform_code
beyond 4), and prints that to standard error; it ignores the unit of length; and its rotations near a half turn
differ by up to 1e-3. It would add 13 MB to an installation and 0.3 s to the first file that is read. The tests
compare these readers with it, which needs two.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.medical_image import ORTHOGONAL

_NIFTI_1 = [
    ("sizeof_hdr", "i4"), ("data_type", "S10"), ("db_name", "S18"), ("extents", "i4"), ("session_error", "i2"),
    ("regular", "S1"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent_p", "f4", 3), ("intent_code", "i2"),
    ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8), ("vox_offset", "f4"),
    ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1"), ("xyzt_units", "u1"),
    ("cal_max", "f4"), ("cal_min", "f4"), ("slice_duration", "f4"), ("toffset", "f4"), ("glmax", "i4"),
    ("glmin", "i4"), ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"),
    ("quatern", "f4", 3), ("qoffset", "f4", 3), ("srow", "f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4"),
]  # fmt: skip
_NIFTI_2 = [
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8),
    ("intent_p", "f8", 3), ("pixdim", "f8", 8), ("vox_offset", "i8"), ("scl_slope", "f8"), ("scl_inter", "f8"),
    ("cal_max", "f8"), ("cal_min", "f8"), ("slice_duration", "f8"), ("toffset", "f8"), ("slice_start", "i8"),
    ("slice_end", "i8"), ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i4"), ("sform_code", "i4"),
    ("quatern", "f8", 3), ("qoffset", "f8", 3), ("srow", "f8", (3, 4)), ("slice_code", "i4"), ("xyzt_units", "i4"),
    ("intent_code", "i4"), ("intent_name", "S16"), ("dim_info", "u1"), ("unused_str", "S15"),
]  # fmt: skip
DTYPES = {1: np.dtype(_NIFTI_1), 2: np.dtype(_NIFTI_2)}
SIZES = {348: 1, 540: 2}
# NIFTI_UNITS_METER, _MM, _MICRON in the low three bits of xyzt_units; 0 = not said, which everyone takes as mm.
_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_LARGEST_SHEAR = 1.0  # degrees; more is no matter of rounding or registration
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def parse_header(content: bytes, name: object) -> NDArray[np.void]:
    """The header as a structured scalar array () in the file's byte order. InvalidArgument: no single-file NIfTI."""
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        size = int(np.frombuffer(content[:4], order + "i4")[0]) if len(content) >= 4 else 0
        if size not in SIZES:
            continue
        dtype = DTYPES[SIZES[size]].newbyteorder(order)
        if len(content) < dtype.itemsize:
            break
        header = np.frombuffer(content[: dtype.itemsize], dtype)[0]
        magic = bytes(header["magic"])[:3]
        if magic in (b"n+1", b"n+2") and magic != b"n+%d" % SIZES[size]:
            raise InvalidArgument(
                f"image: got magic {magic.decode()} in a header of {size} bytes of {name}, expected "
                f"n+{SIZES[size]}; the header is damaged"
            )
        if magic not in (b"n+1", b"n+2"):
            raise InvalidArgument(
                f"image: got a header without its data in {name}, expected a single-file NIfTI; "
                "convert the .hdr/.img pair to .nii"
            )
        return np.array(header)
    raise InvalidArgument(f"image: got {name}, expected a NIfTI file; its header is damaged or of another kind")


def quaternion_matrix(quatern: NDArray[np.floating], qfac: float) -> NDArray[np.float64]:
    """nifti1.h METHOD 2: the rotation (3, 3) of (b, c, d), its third column times qfac."""
    b, c, d = (float(value) for value in quatern)
    squares = b * b + c * c + d * d
    # Rounding in the file may make the sum exceed 1; then the rotation is by 180 degrees.
    if squares > 1.0:
        b, c, d = (value / np.sqrt(squares) for value in (b, c, d))
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    rotation[:, 2] *= qfac
    return rotation


def matrix_quaternion(rotation: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The inverse: (b, c, d) and qfac of an orthonormal (3, 3), by the largest component for accuracy."""
    qfac = 1.0 if np.linalg.det(rotation) > 0 else -1.0
    r = rotation * np.array([1.0, 1.0, qfac])
    # Bar-Itzhack's symmetric matrix, whose eigenvector of the largest eigenvalue is the quaternion (a, b, c, d).
    k = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2]],
            [r[0, 2] - r[2, 0], r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2]],
            [r[1, 0] - r[0, 1], r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    quaternion = np.linalg.eigh(k)[1][:, -1]
    return np.asarray(quaternion[1:] * (1.0 if quaternion[0] >= 0 else -1.0)), qfac


def check_values(header: NDArray[np.void], bits: int, path: Path) -> None:
    """Refuses what contradicts itself about the values.

    Args:
        header: of the file.
        bits: of a voxel, by its data type.
        path: for messages.

    Raises:
        InvalidArgument: bitpix says that voxels are longer, so that others would be read; a slope without an intercept.
    """
    stated = int(header["bitpix"])
    if stated > bits:
        raise InvalidArgument(
            f"image: got bitpix {stated} for data type {int(header['datatype'])} of {bits} bits in {path}, expected "
            "one size; correct the header"
        )
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isfinite(slope) and slope != 0 and not np.isfinite(inter):
        raise InvalidArgument(
            f"image: got scl_slope {slope:g} with scl_inter {inter} in {path}, expected a number; correct the header"
        )


def _pixdim(header: NDArray[np.void]) -> NDArray[np.float64]:
    """Spacing (3,) in the header's unit. An axis of one voxel, as of a 2D file, may leave it out: then 1."""
    pixdim = header["pixdim"][1:4].astype(np.float64)
    axes = int(header["dim"][0])
    single = np.array([k > axes or int(header["dim"][k]) == 1 for k in (1, 2, 3)])
    return np.where(single & (pixdim == 0), 1.0, pixdim)


def header_spacing(header: NDArray[np.void], notes: list[str]) -> NDArray[np.float64]:
    """Spacing (3,) in mm along x, y, z of a file that says nothing of its place; a note where it was negative."""
    pixdim = _pixdim(header)
    if (pixdim < 0).any():
        notes.append("negative pixdim taken as positive: the file does not say which way the axes run")
    return np.abs(pixdim) * _scale(header)


def _qform(header: NDArray[np.void]) -> NDArray[np.float64]:
    affine = np.eye(4)
    qfac = -1.0 if float(header["pixdim"][0]) < 0 else 1.0  # 0 counts as 1 (nifti1.h)
    affine[:3, :3] = quaternion_matrix(header["quatern"], qfac) * _pixdim(header)
    affine[:3, 3] = header["qoffset"]
    return affine


def _qform_is_sound(header: NDArray[np.void]) -> bool:
    numbers = np.concatenate([_pixdim(header), header["quatern"], header["qoffset"]])
    return bool(np.isfinite(numbers).all() and (_pixdim(header) > 0).all() and _is_rotation(header["quatern"]))


def _is_rotation(quatern: NDArray[np.floating]) -> bool:
    """Whether (b, c, d) may belong to a unit quaternion, but for rounding; NaN may not."""
    return float(np.square(quatern.astype(np.float64)).sum()) < 1.001


def _sform(header: NDArray[np.void]) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3] = header["srow"]
    flat = int(header["dim"][0]) < 3 or int(header["dim"][3]) == 1
    if flat and not affine[:3, 2].any() and affine[:3, 0].any() and affine[:3, 1].any():
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / (np.linalg.norm(normal) or 1.0)  # a slice that has no thickness
    return affine


def _shear(affine: NDArray[np.float64]) -> float:
    """Sine of the largest angle by which two axes are off a right one; 0 where an axis is missing."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or lengths.min() <= 0:
        return 0.0
    axes = affine[:3, :3] / lengths
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def header_affine(header: NDArray[np.void], path: Path) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Index (x, y, z, 1) to LPS mm, (4, 4), and notes; None when the file does not say (both codes 0).

    The sform wins over the qform, as in nibabel, FSL and Slicer; but where there is a sound qform, not one that is all
    zeros or whose axes are off a right angle by up to a degree, as a registration may leave it.

    Raises:
        InvalidArgument: only a qform, and pixdim that is not positive, which readers take for different things, or a
            quaternion longer than 1.
    """
    notes: list[str] = []
    has_q, has_s = int(header["qform_code"]) > 0, int(header["sform_code"]) > 0
    if not (has_q or has_s):
        return None, notes
    sform, usable_q = _sform(header), has_q and _qform_is_sound(header)
    if has_s and usable_q and not header["srow"].any():
        notes.append("the sform is all zeros: the qform is used and both are kept")
        has_s = False
    elif has_s and usable_q and ORTHOGONAL < _shear(sform) <= np.sin(np.radians(_LARGEST_SHEAR)):
        degrees = np.degrees(np.arcsin(_shear(sform)))
        notes.append(
            f"the axes of the sform are {degrees:.2f} degrees off a right angle: the qform is used and both are kept"
        )
        has_s = False
    if not has_s and not (_pixdim(header) > 0).all():
        raise InvalidArgument(
            f"geometry: got pixdim {[float(n) for n in header['pixdim'][1:4]]} beside a qform in {path}, expected "
            "positive mm; correct the header"
        )
    if not has_s and not _is_rotation(header["quatern"]):
        raise InvalidArgument(
            f"geometry: got the quaternion {[float(n) for n in header['quatern']]} in {path}, expected a length of at "
            "most 1; correct the header"
        )
    affine = sform if has_s else _qform(header)
    if has_q and has_s and np.isfinite(affine).all():
        corners = np.array(np.meshgrid(*[[0, max(0, int(n) - 1)] for n in header["dim"][1:4]])).reshape(3, -1)
        homogeneous = np.vstack([corners, np.ones((1, corners.shape[1]))])
        gap = float(np.abs((affine - _qform(header))[:3] @ homogeneous).max())
        if gap > 0.1:
            notes.append(f"qform and sform differ by up to {gap:.1f} mm; the sform is used and both are kept")
    affine[:3] *= _scale(header)
    affine[:2] = 0.0 - affine[:2]  # RAS to LPS; a product of matrices would warn of infinity, which the caller refuses
    return affine, notes


def _scale(header: NDArray[np.void]) -> float:
    """Millimeters in the header's unit of length."""
    return _MM.get(int(header["xyzt_units"]) & 7, 1.0)
