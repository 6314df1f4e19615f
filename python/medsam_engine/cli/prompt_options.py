# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options of prompts that several commands have, and boxes and points as text."""

from typing import Annotated, Any

import typer

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.medical_image import MedicalImage

Planes = Annotated[
    str,
    typer.Option(
        metavar="slices|three",
        help="Planes of a volume in which the objects are segmented: its slices, or the planes along all three axes, "
        "which takes about three times as long. For voxels that are nearly cubes.",
        rich_help_panel="Prompts",
    ),
]


def box_option(panel: str) -> Any:
    """--box, in this group of a command's options."""
    return typer.Option(
        metavar="X0,Y0[,Z0],X1,Y1[,Z1]",
        help="Box of one object: two opposite corners in pixels (in voxels for a volume), counted from 0, both "
        "inclusive. No spaces between the numbers. Repeat for more objects.",
        rich_help_panel=panel,
    )


def box_mm_option(panel: str) -> Any:
    """--box-mm, in this group of a command's options."""
    return typer.Option(
        metavar="X0,Y0,Z0,X1,Y1,Z1",
        help="Box of one object: opposite corners in mm, LPS as in DICOM and SimpleITK (for RAS as in NIfTI, negate x "
        "and y). Give four numbers, measured from the first pixel, for an image that has no position.",
        rich_help_panel=panel,
    )


def name_option(panel: str) -> Any:
    """--name, in this group of a command's options."""
    return typer.Option(
        help="Name of an object, written to DICOM SEG, NRRD and JSON. Repeat for each object, in the order of the "
        "boxes or labels.",
        rich_help_panel=panel,
    )


def check_planes(planes: str, source: MedicalImage) -> None:
    """InvalidArgument: an unknown word, or three planes of an image; the engine checks the rest."""
    if planes not in ("slices", "three"):
        raise InvalidArgument(f"--planes: got '{planes}', expected slices or three")
    if planes == "three" and not source.is_volume:
        raise InvalidArgument("--planes: got three for an image, expected a volume; leave the option out")


def _numbers(option: str, text: str, counts: tuple[int, ...], expected: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in counts:
        raise InvalidArgument(f"{option}: got '{text}', expected {expected}; commas and no spaces between the numbers")
    return values


def parse_boxes(texts: list[str], option: str = "--box") -> list[list[float]]:
    """Each "x0,y0,x1,y1" or "x0,y0,z0,x1,y1,z1", all of one kind; ranges are the engine's to check. InvalidArgument."""
    boxes = [_numbers(option, text, (4, 6), "x0,y0,x1,y1, or x0,y0,z0,x1,y1,z1 in a volume") for text in texts]
    if len({len(box) for box in boxes}) > 1:
        raise InvalidArgument(
            f"{option}: got boxes of 4 and of 6 numbers, expected one kind; an image is flat or a volume"
        )
    return boxes


def parse_points(texts: list[str]) -> tuple[list[list[float]], list[int]]:
    """Each "x,y,label": coordinates (P, 2) and labels (P,), 1 object or 0 background. InvalidArgument."""
    coords: list[list[float]] = []
    labels: list[int] = []
    for text in texts:
        x, y, label = _numbers("--point", text, (3,), "x,y,label")
        if label not in (0.0, 1.0):
            raise InvalidArgument(f"--point: got label {label:g} in '{text}', expected 1 (object) or 0 (background)")
        coords.append([x, y])
        labels.append(int(label))
    return coords, labels
