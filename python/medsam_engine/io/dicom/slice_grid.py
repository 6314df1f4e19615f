# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Where the slices of an image lie, each by its own header, and which voxel of them a place in space belongs to."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.pixels import read_dataset
from medsam_engine.io.dicom.planes import plane_of
from medsam_engine.io.medical_image import DicomSource, MedicalImage

Instance = tuple[str, int]  # SOPInstanceUID and frame, from 1


@dataclass(frozen=True)
class SliceGrid:
    """The slices of an image, in its order.

    Attributes:
        image: whose slices they are.
        size: columns and rows.
        positions: (D, 3) LPS mm of each slice's first voxel. Those of DICOM files are the files' own, from which the
            even grid of `image` may differ by up to half a step.
        series: SeriesInstanceUID, "" where there is none.
        frame_of_reference: FrameOfReferenceUID, "" where there is none.
        instances: of each slice; empty where the image is no DICOM or its identifiers are not unique.
    """

    image: MedicalImage
    size: tuple[int, int]
    positions: NDArray[np.float64]
    series: str
    frame_of_reference: str
    instances: tuple[Instance, ...]

    @property
    def depth(self) -> int:
        """The number of slices."""
        return len(self.positions)

    @property
    def step(self) -> float:
        """Millimeters between slices; of a single slice its thickness, 1 where that is unknown."""
        return self.image.spacing[2]

    def along(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Millimeters (N,) of LPS points (N, 3) along the slices' normal, from the first slice."""
        return np.asarray((points - self.positions[0]) @ self.image.direction[:, 2])

    def nearest(self, along: float) -> tuple[int, float]:
        """The slice that lies nearest to a place along the normal, and by how many mm that lies behind it."""
        offsets = along - self.along(self.positions)
        k = int(np.abs(offsets).argmin())
        return k, float(offsets[k])

    def in_plane(self, points: NDArray[np.float64], k: int) -> NDArray[np.float64]:
        """LPS points (N, 3) as continuous columns and rows (N, 2) of slice k."""
        offsets = (points - self.positions[k]) @ self.image.direction[:, :2]
        return np.asarray(offsets / np.asarray(self.image.spacing[:2]))


def slice_grid(image: MedicalImage, limit: ByteLimit) -> SliceGrid:
    """The slices of `image`; of a DICOM image the headers of its files are read again. InvalidArgument as io.read."""
    grid = image.grid if image.is_volume else (1, *image.grid)
    places = np.zeros((grid[0], 3))
    places[:, 2] = np.arange(grid[0])
    positions = places @ image.affine[:3, :3].T + np.asarray(image.origin)
    size = (grid[2], grid[1])
    if not isinstance(image.source, DicomSource):
        return SliceGrid(image, size, positions, "", "", ())
    instances: list[Instance] = []
    series = frame_of_reference = ""
    for k, (path, frame) in enumerate(_slices(image.source)):
        if k == 0 or len(image.source.files) > 1:
            dataset = read_dataset(path, limit, pixels=False)
        plane = plane_of(dataset, frame)
        if image.positioned and plane.position is not None:
            positions[k] = plane.position
        instances.append((str(dataset.get("SOPInstanceUID") or ""), frame + 1))
        series = str(dataset.get("SeriesInstanceUID") or "")
        frame_of_reference = str(dataset.get("FrameOfReferenceUID") or "")
    unique = max(Counter(instances).values()) == 1 and all(uid for uid, _ in instances)
    return SliceGrid(image, size, positions, series, frame_of_reference, tuple(instances) if unique else ())


def _slices(source: DicomSource) -> list[tuple[Path, int]]:
    if source.frames:
        return [(source.files[0], frame) for frame in source.frames]
    return [(path, 0) for path in source.files]
