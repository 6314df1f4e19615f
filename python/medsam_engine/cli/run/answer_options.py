# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options of `medsam-engine run` that say what is written, and how."""

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Output"

OutputFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Format of the answers of a table: nii.gz, nii, nrrd, mha, png, dcm (DICOM SEG) or npz. By default png "
        "for pictures, npz for NPZ files and nii.gz for all others.",
        rich_help_panel=_PANEL,
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        help="Pattern of the answers' names, used instead of --format, such as {case}/{name}.nii.gz. {case} and {stem} "
        "are the case's name with and without its folders; with {name} or {label}, each object has a file of its own.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
IfDifferent = Annotated[
    str | None,
    typer.Option(
        help="What to do with an answer that was made from another image, box, option or model: refuse (the case "
        "fails, and the answer stays) or redo. The default is refuse.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Segment finished cases again.", rich_help_panel=_PANEL)]
Reproducible = Annotated[
    bool,
    typer.Option(
        "--reproducible",
        help="Compute in f32 on kernels that all processors of this kind have, so that the answers are the same bytes "
        "on each of them.",
        rich_help_panel=_PANEL,
    ),
]
Objects = Annotated[
    Path | None,
    typer.Option(
        help="CSV file to write, with the objects of a table's cases and their sizes.", rich_help_panel=_PANEL
    ),
]
PreviewFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder for PNG pictures of the results of a table's cases; created if it does not exist.",
        rich_help_panel=_PANEL,
    ),
]
Csv = Annotated[
    Path | None, typer.Option(help="CSV file to write, with the times of each case.", rich_help_panel=_PANEL)
]
Times = Annotated[
    bool,
    typer.Option("--times", help="Print how long each phase of the start took.", rich_help_panel=_PANEL),
]
Progress = Annotated[
    str,
    typer.Option(
        help="bar (on a terminal, with a line for each case that fails) or jsonl (a JSON object per line).",
        rich_help_panel=_PANEL,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=_PANEL)]
