# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""An image or volume in memory, with the data needed to write a mask on the same grid."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.renamed import renamed, warn_renamed
from medsam_engine.errors import InvalidArgument

Vector = tuple[float, float, float]
Interval = tuple[float, float]  # lowest and highest, ends inclusive

# Cosines in files are rounded to 5 or 6 digits; a shear of this size moves the far corner of a 512-voxel grid by half a
# voxel.
ORTHOGONAL = 1e-3

# mm. From less than an atom to a kilometre: what lies outside is damage, and its products and single precision, in
# which NIfTI has it, overflow, come to nothing, or lose the place.
_SPACING = (1e-7, 1e6)
_FARTHEST = 1e6


@dataclass(frozen=True)
class NiftiSource:
    """The header of a NIfTI file; the fields on the position of the grid are written back byte for byte."""

    header: bytes


@dataclass(frozen=True)
class ItkSource:
    """A NRRD or MetaImage file. `dimension`: 2 for a flat image, 3 for a volume (the file may have had more)."""

    dimension: int


@dataclass(frozen=True)
class DicomSource:
    """The files behind the slices, in the array's order; of one multi-frame file, the frames in the array's order."""

    files: tuple[Path, ...]
    frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class MedicalImage:
    """Values, the grid they lie on, and where both came from.

    Attributes:
        array: (D, H, W) or (H, W), with a last axis of 3 if `color`; uint8, uint16, int16 or finite float32. CT is in
            Hounsfield units, other images in the units after the file's rescaling.
        spacing: mm between voxel centers along x, y, z: the LAST array axis first, as in SimpleITK.
        origin: position of voxel (0, 0, 0) in mm, LPS (x to the patient's left, y to the back, z to the head).
        direction: (3, 3) float64; column k is the direction of index axis k (x, y, z) in LPS. Orthonormal.
        modality: DICOM's code (CT, MR, PT, US, CR, ...), "" if the file does not state it.
        path: the file or folder that was read.
        color: whether the last axis of `array` holds RGB.
        spaced: whether `spacing` is known; if not, it is 1.
        positioned: whether `origin` and `direction` are known; if not, they are 0 and the identity.
        source: the data of the file that a writer needs, by format; None if it needs none.
        padding: per slice (one entry for a flat image), the lowest and highest value of voxels without a measurement,
            or None; or empty. Windows ignore such voxels and show them as black.
        hounsfield: False if the file is a CT whose values cannot be Hounsfield units.
        notes: what the reader of the image should know, such as converted values and skipped files.
    """

    array: NDArray[np.generic]
    spacing: Vector
    origin: Vector
    direction: NDArray[np.float64]
    modality: str
    path: Path
    color: bool = False
    spaced: bool = True
    positioned: bool = True
    source: NiftiSource | ItkSource | DicomSource | None = None
    padding: tuple[Interval | None, ...] = ()
    hounsfield: bool = True
    notes: tuple[str, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        check_grid(self.path, self.spacing, self.origin, self.direction)
        if self.array.ndim - int(self.color) not in (2, 3):
            raise InvalidArgument(f"image: got shape {self.array.shape} in {self.path}, expected 2 or 3 axes")

    @property
    def colour(self) -> bool:
        """The old name of `color`, kept for one release."""
        warn_renamed("MedicalImage.colour", "color")
        return self.color

    @property
    def grid(self) -> tuple[int, ...]:
        """(D, H, W) or (H, W): the shape of a label map of this image."""
        return self.array.shape[:-1] if self.color else self.array.shape

    @property
    def is_volume(self) -> bool:
        """Whether the grid has three axes."""
        return len(self.grid) == 3

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) matrix from index (x, y, z, 1) to mm in LPS."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine

    def index_from_mm(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Converts points (N, 3) in mm, LPS, to continuous indices (N, 3) x, y, z; voxel centers are whole numbers."""
        return np.asarray(np.linalg.solve(self.affine[:3, :3], (points - np.asarray(self.origin)).T).T)


# A frozen dataclass has no other place for an old name of a field.
MedicalImage.__init__ = renamed(colour="color")(MedicalImage.__init__)  # type: ignore[method-assign]  # the old keyword


def check_grid(path: Path, spacing: Vector, origin: Vector, direction: NDArray[np.float64]) -> None:
    """Refuses geometry that is not a grid, or that not every format can hold.

    Raises:
        InvalidArgument: the spacing is not positive, below 1e-7 mm or above 1e6 mm; the origin is more than 1e6 mm
            away; or the axes are singular or not at right angles.
    """
    if not np.isfinite(spacing).all() or min(spacing) <= 0:
        raise InvalidArgument(
            f"geometry: got spacing {spacing} in {path}, expected positive mm; correct the file's header"
        )
    if min(spacing) < _SPACING[0] or max(spacing) > _SPACING[1]:
        raise InvalidArgument(
            f"geometry: got spacing {spacing} in {path}, expected {_SPACING[0]:g} to {_SPACING[1]:g} mm; correct the "
            "file's header"
        )
    if not np.isfinite(origin).all() or np.abs(origin).max() > _FARTHEST:
        raise InvalidArgument(
            f"geometry: got origin {origin} in {path}, expected at most {_FARTHEST:g} mm; correct the file's header"
        )
    if not np.isfinite(direction).all() or abs(np.linalg.det(direction)) < 1e-6:
        raise InvalidArgument(
            f"geometry: got a singular orientation in {path}, expected three independent axes; "
            "correct the file's header"
        )
    worst = float(np.abs(direction.T @ direction - np.eye(3)).max())
    if worst > ORTHOGONAL:
        raise InvalidArgument(
            f"geometry: got axes {np.degrees(np.arcsin(min(1.0, worst))):.2f} degrees off a right angle in {path}, "
            "expected a rectangular grid; resample the image first (shear, gantry tilt)"
        )


def check_same_grid(image: MedicalImage, other: MedicalImage) -> None:
    """Refuses a label map that does not lie on the image's grid. InvalidArgument if the shape or position differs.

    Positions are compared if both files state them, to a tenth of a voxel at the corners.
    """
    if tuple(n for n in image.grid if n != 1) != tuple(n for n in other.grid if n != 1):
        raise InvalidArgument(
            f"labels: got grid {other.grid} in {other.path}, expected {image.grid} of {image.path}; resample them"
        )
    if not (image.positioned and other.positioned):
        return
    sizes = ([1, *image.grid] if len(image.grid) == 2 else list(image.grid))[::-1]
    corners = np.array(np.meshgrid(*[[0.0, n - 1.0] for n in sizes])).reshape(3, -1)
    gap = (image.affine - other.affine)[:3] @ np.vstack([corners, np.ones((1, corners.shape[1]))])
    worst = float(np.linalg.norm(gap, axis=0).max())
    if worst > 0.1 * min(image.spacing):
        raise InvalidArgument(
            f"labels: got {other.path} up to {worst:.2f} mm away from {image.path}, expected the same grid; "
            "resample them"
        )


def chosen_volume(count: int, volume: int | None, path: Path) -> int:
    """The index of the volume to read of `count` in a 4D file. InvalidArgument if it is not given or does not exist."""
    if volume is None:
        if count == 1:
            return 0
        raise InvalidArgument(
            f"image: got {count} volumes in {path}, expected one; choose with --volume N (volume=N), 0 to {count - 1}"
        )
    if not 0 <= volume < count:
        raise InvalidArgument(f"volume: got {volume}, expected 0 to {count - 1} for {path}; volumes count from 0")
    return volume
