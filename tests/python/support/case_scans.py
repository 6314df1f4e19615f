# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files with boxes in a table, for the tests of `medsam-engine run`; needs Pillow, pydicom and SimpleITK."""

import shutil
from pathlib import Path

import numpy as np
import pydicom.data
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from numpy.typing import NDArray
from PIL import Image

from medsam_engine import io

HEADER = "file,name,x0,y0,z0,x1,y1,z1"


def noise(*shape: int, seed: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_volume(path: Path, seed: int = 5) -> None:
    volume = sitk.GetImageFromArray(noise(6, 24, 32, seed=seed))
    volume.SetSpacing((0.8, 0.9, 4.0))
    volume.SetOrigin((-10.0, 5.0, 30.0))
    sitk.WriteImage(volume, str(path))


def write_scans(folder: Path) -> None:
    """A NIfTI volume, a DICOM series of pydicom's, a picture."""
    folder.mkdir(parents=True)
    write_volume(folder / "mr.nii.gz")
    series = Path(pydicom.data.get_testdata_file("CT_small.dcm")).parent / "dicomdirtests" / "98892001" / "CT5N"
    shutil.copytree(series, folder / "ct")
    Image.fromarray(noise(48, 64, 3)).save(folder / "us.png")


ROWS = (
    "scans/mr.nii.gz,liver,4,5,1,20,19,3",
    "scans/us.png,lesion,5,6,,30,40,",
    "scans/ct,tube,3,3,1,12,12,3",
    "scans/us.png,lesion,20,10,,60,47,",
)


def table_of(scans: Path, *rows: str, header: str = HEADER) -> Path:
    path = scans.parent / "cases.csv"
    path.write_text("\n".join([header, *(rows or ROWS)]) + "\n", encoding="utf-8")
    return path


def labels_of(path: Path) -> NDArray[np.generic]:
    return io.read_labels(path)[0]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
