# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The cases: real images of ../shared/data/open, each in a folder of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

STAGE_BOXES = 16

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A folder with one NPZ."""

    key: str
    title: str
    file: Path
    objects: int
    steps: int
    """Decodes: the boxes of an image, slices times objects of a volume."""
    part_of: str | None = None
    """The case whose objects these are some of."""

    @property
    def folder(self) -> Path:
        """What the programs get."""
        return self.file.parent


def _write(path: Path, arrays: dict[str, Array]) -> Path:
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return path


def _steps(boxes: Array) -> int:
    return len(boxes) if boxes.shape[1] == 4 else int((boxes[:, 5] - boxes[:, 2] + 1).sum())


def _case(key: str, title: str, file: Path, part_of: str | None = None) -> Case:
    with np.load(file) as data:
        boxes = data["boxes"].astype(np.int64)
    return Case(key, title, file, len(boxes), _steps(boxes), part_of)


def prepare_cases(data: Path, out: Path) -> dict[str, Case]:
    """Writes the cases below `out` and names them: one, cells, brain, and brain-part, the object of fewest slices."""
    with np.load(data / "2DBox_XRay_imlab-cxr_1.npz") as xray:
        one = _write(out / "one" / "2DBox_XRay_one.npz", {"imgs": xray["imgs"], "boxes": xray["boxes"][:1]})
    with np.load(data / "2DBox_Microscopy_stardist_1.npz") as field:
        cells = _write(out / "cells" / "2DBox_Microscopy_cells.npz", {"imgs": field["imgs"], "boxes": field["boxes"]})
    with np.load(data / "3DBox_MR_voxelmorph_1.npz") as scan:
        volume = {key: scan[key] for key in ("imgs", "boxes", "spacing")}
    brain = _write(out / "brain" / "3DBox_MR_brain.npz", volume)
    boxes = volume["boxes"].astype(np.int64)
    shortest = int(np.argmin(boxes[:, 5] - boxes[:, 2]))
    part = {**volume, "boxes": volume["boxes"][shortest : shortest + 1]}
    brain_part = _write(out / "brain-part" / "3DBox_MR_brain-part.npz", part)
    cases = (
        _case("one", "one 512x512 image, one box", one),
        _case("cells", "89 boxes on one microscopy image (512x320)", cells),
        _case("brain", "13-object brain volume (171x224x160)", brain),
        _case("brain-part", f"object {shortest + 1} alone of the brain volume", brain_part, part_of="brain"),
    )
    return {case.key: case for case in cases}


def prepare_stage_case(data: Path, out: Path) -> Path:
    """A 1024 x 1024 image and 16 boxes: an electron micrograph and its cells, doubled."""
    with np.load(data / "2DBox_Microscopy_isbi-em_1.npz") as field:
        image = cv2.resize(field["imgs"], (1024, 1024), interpolation=cv2.INTER_LINEAR)
        boxes = field["boxes"][:STAGE_BOXES].astype(np.int64) * 2
    return _write(out / "stages" / "2DBox_Microscopy_stages.npz", {"imgs": image, "boxes": boxes})
