# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A batch: images and volumes with boxes in a table, label maps in the images' own geometry and a table of sizes out.

``pipeline.py --bundle BUNDLE CASES.csv OUTPUT`` with the package installed. CASES.csv has a row
for each object::

    file,name,x0,y0,z0,x1,y1,z1
    scans/ct.nii.gz,liver,40,60,10,190,170,34
    scans/us.png,lesion,30,20,,90,70,

Coordinates are voxels, ends inclusive; without z the file is an image. Files lie beside the table: NIfTI, NRRD,
MetaImage, a folder of DICOM files, PNG, JPEG. The next file is read while one is segmented; a file that fails is
reported, and the rest goes on. This shows the Python API; `medsam-engine run CASES.csv OUTPUT` reads the same table,
checks it, and skips what is done.
"""

from __future__ import annotations

import argparse
import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import medsam_engine
from medsam_engine import io
from medsam_engine.windows import apply_window

COLUMNS_2D = ("x0", "y0", "x1", "y1")
COLUMNS_3D = ("x0", "y0", "z0", "x1", "y1", "z1")


@dataclass
class Case:
    """One file and the objects in it."""

    path: Path
    names: list[str] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)


def read_cases(table: Path) -> list[Case]:
    """The table's rows, by file, in the order of the table."""
    cases: dict[str, Case] = {}
    with table.open(newline="") as lines:
        for row in csv.DictReader(lines):
            case = cases.setdefault(row["file"], Case(table.parent / row["file"]))
            columns = COLUMNS_3D if row["z0"] else COLUMNS_2D
            case.names.append(row["name"])
            case.boxes.append([float(row[column]) for column in columns])
    return list(cases.values())


def load(case: Case) -> tuple[io.MedicalImage, NDArray[np.generic]]:
    """The file, and its values as the models were trained: CT by the abdomen's window, MR and PET by percentiles."""
    image = io.read(case.path)
    return image, apply_window(
        image.array, None, image.modality, image.color, padding=image.padding, hounsfield=image.hounsfield
    )


def segment(
    engine: medsam_engine.Engine, image: io.MedicalImage, values: NDArray[np.generic], case: Case
) -> NDArray[np.unsignedinteger]:
    """One label an object."""
    if image.is_volume:
        return engine.segment_volume(values, case.boxes, modality=image.modality or None)
    return engine.segment(values, case.boxes, modality=image.modality or None)


def main() -> int:
    """Runs the table; returns how many files failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", type=Path, help="folder of the model; else $MEDSAM_ENGINE_BUNDLE or the fetched one"
    )
    parser.add_argument("cases", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    cases = read_cases(arguments.cases)
    engine = medsam_engine.Engine(arguments.bundle or medsam_engine.find_bundle(), precision="auto")

    failed = 0
    with (
        ThreadPoolExecutor(max_workers=1) as reader,
        (arguments.output / "objects.csv").open("w", newline="") as table,
    ):
        rows = csv.writer(table)
        rows.writerow(["file", "name", "label", "voxels", "ml"])
        ahead = [reader.submit(load, case) for case in cases[:1]]
        for index, case in enumerate(cases):
            ahead.extend(reader.submit(load, following) for following in cases[index + 1 : index + 2])
            try:
                image, values = ahead.pop(0).result()
                labels = segment(engine, image, values, case)
                suffix = ".nii.gz" if image.is_volume else ".png"
                out = arguments.output / f"{case.path.name.split('.')[0]}_labels{suffix}"
                io.write(out, labels, image)
            except medsam_engine.Error as error:  # one line: what, got, expected, remedy
                print(f"{case.path}: {error}", file=sys.stderr)
                failed += 1
                continue
            for label, name in enumerate(case.names, start=1):
                voxels = int(np.count_nonzero(labels == label))
                ml = voxels * float(np.prod(image.spacing)) / 1000 if image.is_volume and image.spaced else ""
                rows.writerow([case.path.name, name, label, voxels, ml])
            print(f"{case.path.name}: {len(case.names)} objects, {out.name}")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
