# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases of mixed formats, made by a seed: NPZ, NIfTI, NRRD and PNG with bright bodies in noise, and DICOM series.

The DICOM series are copies of pydicom's own CT with other noise and other UIDs.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import generate_uid

HEADER = ("file", "name", "x0", "y0", "z0", "x1", "y1", "z1")
Row = tuple[object, ...]


def make_cases(folder: Path, count: int, side: int, depth: int, kinds: Sequence[str] | None = None) -> Path:
    """Writes `count` cases to `folder`, of `side` pixels and `depth` slices; returns the table of their boxes."""
    folder.mkdir(parents=True)
    chosen = [KINDS[kind] for kind in kinds or KINDS]
    rows = [row for k in range(count) for row in chosen[k % len(chosen)](folder, k, side, depth)]
    table = folder / "cases.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    return table


def _bodies(seed: int, depth: int, side: int) -> NDArray[np.uint8]:
    """Noise with two bright ellipsoids in every slice, (depth, side, side)."""
    random = np.random.default_rng(seed)
    voxels = random.normal(60, 12, (depth, side, side))
    y, x = np.mgrid[:side, :side] / side
    for cx, cy in ((0.35, 0.4), (0.7, 0.65)):
        voxels[:, (x - cx) ** 2 + (y - cy) ** 2 < 0.018] += 110
    return np.clip(voxels, 0, 255).astype(np.uint8)


def _boxes(side: int, depth: int | None) -> list[tuple[object, ...]]:
    boxes: list[tuple[object, ...]] = []
    for cx, cy in ((0.35, 0.4), (0.7, 0.65)):
        low, high = (int((c - 0.15) * side) for c in (cx, cy)), (int((c + 0.15) * side) for c in (cx, cy))
        z = ("", "") if depth is None else (0, depth - 1)
        boxes.append((*low, z[0], *high, z[1]))
    return boxes


def _rows(file: str, side: int, depth: int | None) -> list[Row]:
    return [(file, f"body {k}", *box) for k, box in enumerate(_boxes(side, depth), start=1)]


def _npz(folder: Path, k: int, side: int, _depth: int) -> list[Row]:
    pixels = np.repeat(_bodies(k, 1, side)[0][..., np.newaxis], 3, axis=2)
    np.savez_compressed(folder / f"2DBox_US_{k:05}.npz", imgs=pixels)
    return _rows(f"2DBox_US_{k:05}.npz", side, None)


def _png(folder: Path, k: int, side: int, _depth: int) -> list[Row]:
    Image.fromarray(_bodies(k, 1, side)[0]).save(folder / f"us{k:05}.png")
    return _rows(f"us{k:05}.png", side, None)


def _volume(ending: str) -> Callable[[Path, int, int, int], list[Row]]:
    def write(folder: Path, k: int, side: int, depth: int) -> list[Row]:
        image = sitk.GetImageFromArray(_bodies(k, depth, side).astype(np.int16))
        image.SetSpacing((0.8, 0.8, 3.0))
        sitk.WriteImage(image, str(folder / f"mr{k:05}.{ending}"))
        return _rows(f"mr{k:05}.{ending}", side, depth)

    return write


def _dicom(folder: Path, k: int, _side: int, _depth: int) -> list[Row]:
    source = Path(pydicom.data.get_testdata_file("CT_small.dcm")).parent / "dicomdirtests" / "98892001" / "CT5N"
    series, random = generate_uid(entropy_srcs=[f"series {k}"]), np.random.default_rng(k)
    name = f"ct{k:05}"
    (folder / name).mkdir()
    files = sorted(path for path in source.iterdir() if path.is_file())
    for number, path in enumerate(files):
        image = pydicom.dcmread(path)
        pixels = image.pixel_array.astype(np.int32) + random.integers(0, 8, image.pixel_array.shape)
        image.PixelData = pixels.astype(image.pixel_array.dtype).tobytes()
        image.SeriesInstanceUID = series
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f"{k} {number}"])
        image.save_as(folder / name / f"{number}.dcm")
    rows, columns = image.Rows, image.Columns
    box = (columns // 4, rows // 4, 0, 3 * columns // 4, 3 * rows // 4, len(files) - 1)
    return [(name, "body", *box)]


KINDS: dict[str, Callable[[Path, int, int, int], list[Row]]] = {
    "npz": _npz,
    "nii.gz": _volume("nii.gz"),
    "nrrd": _volume("nrrd"),
    "dicom": _dicom,
    "png": _png,
}
