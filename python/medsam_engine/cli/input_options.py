# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Options shared by all commands that read images or label maps, and the reading itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from medsam_engine import io
from medsam_engine.cli.steps import Steps

IMAGE_PANEL = "Image"

MaxBytes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Limit on the unpacked size of the voxels of a file, in bytes; by default a quarter of the memory.",
        rich_help_panel=IMAGE_PANEL,
        show_default=False,
    ),
]
Volume = Annotated[
    int | None, typer.Option(help="Index of the volume in a 4D file, counted from 0.", rich_help_panel=IMAGE_PANEL)
]
Series = Annotated[
    str | None,
    typer.Option(
        help="SeriesInstanceUID of the series to read, if the folder holds several.", rich_help_panel=IMAGE_PANEL
    ),
]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable",
        help="Skip slices of a folder that cannot be read, and list them.",
        rich_help_panel=IMAGE_PANEL,
    ),
]
_WINDOWS = (
    "abdomen, lung, brain, mediastinum, bone, WIDTH,LEVEL, percentile, full or none. The default depends on the "
    "modality: abdomen for CT, percentile for MR and PET, full for others, none for color and 8-bit."
)
_MODALITIES = "CT, MR, PET, US, XRay, ..., for the window and for models that need it; by default, the file's own."
Window = Annotated[str | None, typer.Option(help=_WINDOWS, rich_help_panel=IMAGE_PANEL)]
Modality = Annotated[str | None, typer.Option(help=_MODALITIES, rich_help_panel=IMAGE_PANEL)]
# For commands over many cases, which may have their own.
WindowOfCases = Annotated[
    str | None, typer.Option(help=f"For cases without one: {_WINDOWS}", rich_help_panel=IMAGE_PANEL)
]
ModalityOfCases = Annotated[
    str | None,
    typer.Option(
        help=f"For cases without one: {_MODALITIES} With --dicomweb, only series of this modality are done.",
        rich_help_panel=IMAGE_PANEL,
    ),
]


@dataclass(frozen=True)
class ReadOptions:
    """What was given of how a scan is to be read; the options as io.read has them."""

    volume: int | None
    series: str | None
    max_bytes: int | None
    skip_unreadable: bool


def read_scan(path: Path, options: ReadOptions, steps: Steps, *, memory_map: bool = True) -> io.MedicalImage:
    """Reads a scan as a step of its own, and shows its notes. Raises as io.read.

    With `memory_map` it is mapped where that is possible: for commands that end before the file may change.
    """
    with steps.step("read image"):
        source = io.read(
            path,
            volume=options.volume,
            series=options.series,
            max_bytes=options.max_bytes,
            skip_unreadable=options.skip_unreadable,
            memory_map=memory_map,
        )
    for note in source.notes:
        steps.note(f"note: {note}")
    return source
