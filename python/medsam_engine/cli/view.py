# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine view`: shows slices with axes in voxels and in mm, to find the coordinates of a box or check one."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from medsam_engine.base.output_check import check_outputs
from medsam_engine.cli.input_options import (
    MaxBytes,
    Modality,
    ReadOptions,
    Series,
    SkipUnreadable,
    Volume,
    Window,
    read_scan,
)
from medsam_engine.cli.prompt_options import parse_boxes
from medsam_engine.cli.steps import Steps
from medsam_engine.cli.terminal import log_to
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.files import read_labels
from medsam_engine.io.input_file import Unchanged
from medsam_engine.io.labeled_boxes import BoxOptions, resolve_boxes
from medsam_engine.io.medical_image import MedicalImage, check_same_grid
from medsam_engine.io.picture.png_file import check_writable as check_png
from medsam_engine.io.picture.png_file import write_rgb
from medsam_engine.io.source_files import source_files
from medsam_engine.show.prepared_image import prepared_image
from medsam_engine.show.preview import Marks, contact_sheet, spread_slices
from medsam_engine.show.result_picture import image_picture, marks_of
from medsam_engine.show.slice_axes import slice_axes
from medsam_engine.windows import check_window

_MOST_SLICES = 100  # of --slice: what one picture can show


def view(
    scan: Annotated[
        Path,
        typer.Argument(help="PNG, JPEG, TIFF, NIfTI, NRRD, MHA, DICOM (a file or the folder of a series) or NPZ."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write, .png.")],
    slices: Annotated[
        list[int] | None,
        typer.Option(
            "--slice",
            metavar="N",
            help="Slice to show large, counted from 0. Repeat for more. By default up to 20 evenly spread slices.",
        ),
    ] = None,
    window: Window = None,
    modality: Modality = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Label map on the same grid to draw over the slices; for a DICOM SEG, use --boxes-from."),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0[,Z0],X1,Y1[,Z1]", help="Box to draw, in the form of `segment --box`. Repeat for more."
        ),
    ] = None,
    box_mm: Annotated[
        list[str] | None,
        typer.Option(metavar="X0,Y0,Z0,X1,Y1,Z1", help="Box to draw, in the form of `segment --box-mm`: mm, LPS."),
    ] = None,
    boxes_from: Annotated[
        Path | None,
        typer.Option(
            help="Label map, DICOM SEG, RTSTRUCT or 3D Slicer ROI (.mrk.json) whose boxes are drawn, as for `segment`."
        ),
    ] = None,
    volume: Volume = None,
    series: Series = None,
    skip_unreadable: SkipUnreadable = False,
    max_bytes: MaxBytes = None,
) -> None:
    """Show slices of a scan with axes in voxels and mm, from which to read the coordinates of a box."""
    options = BoxOptions(parse_boxes(box or []), parse_boxes(box_mm or [], "--box-mm"), boxes_from, 0, 0)
    options.check()
    check_window(window)
    beside = [path for path in (labels, boxes_from) if path is not None]
    read = [file for path in (scan, *beside) for file in source_files(path)]
    check_png(output)
    check_outputs({"--output": output}, read)

    console = Console(stderr=True)
    log_to(console)
    steps = Steps(console)
    unchanged = Unchanged(read)
    source = read_scan(scan, ReadOptions(volume, series, max_bytes, skip_unreadable), steps)
    marks = marks_of(resolve_boxes(options, source, max_bytes), ([], []))
    chosen = _chosen(slices, source, marks)
    axes = slice_axes(source)
    if axes.note and not any("spacing unknown" in note for note in source.notes):  # said once
        steps.note(f"note: {axes.note}")
    drawn = _labels_of(labels, source, max_bytes)
    shown = prepared_image(source, window, modality, steps)
    with steps.step("draw"):
        if source.is_volume:
            picture = contact_sheet(shown.slices(chosen), drawn, slices=chosen, marks=marks, axes=axes)
        else:
            picture = image_picture(shown, drawn, marks, source, opacity=0.25)
    unchanged.check()
    write_rgb(output, picture)
    size = "x".join(str(n) for n in source.grid[::-1])
    what = f"slices {', '.join(str(z) for z in chosen)} of {size} voxels" if source.is_volume else f"{size} pixels"
    steps.note(what)
    steps.note(f"wrote {output} ({picture.shape[1]}x{picture.shape[0]})")


def _chosen(asked: list[int] | None, source: MedicalImage, marks: Marks) -> list[int]:
    """The slices to show. InvalidArgument for one that does not exist, or for --slice with an image."""
    depth = source.grid[0] if source.is_volume else 1
    for z in asked or []:
        if not source.is_volume:
            raise InvalidArgument(f"--slice: got {z} for an image of one slice, expected a volume; leave it out")
        if not 0 <= z < depth:
            raise InvalidArgument(f"--slice: got {z}, expected 0 to {depth - 1}; slices count from 0")
    chosen = list(dict.fromkeys(asked or []))  # as they were asked for, each once
    if len(chosen) > _MOST_SLICES:
        raise InvalidArgument(f"--slice: got {len(chosen)} slices, expected at most {_MOST_SLICES}; make two pictures")
    if chosen:
        return chosen
    # One slice more on each side of the boxes shows that their first and last slices are the right ones.
    ends = marks.boxes[:, [2, 5]].ravel()
    first, last = (int(ends.min()) - 1, int(ends.max()) + 1) if len(ends) else (0, depth - 1)
    return spread_slices(max(first, 0), min(last, depth - 1))


def _labels_of(path: Path | None, source: MedicalImage, max_bytes: int | None) -> NDArray[np.generic]:
    if path is None:  # zeros that take no memory
        return np.broadcast_to(np.zeros((), np.uint8), source.grid)
    labels, image = read_labels(path, max_bytes=max_bytes)
    check_same_grid(source, image)
    return labels.reshape(source.grid)
