# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options of `medsam-engine run` for series of a DICOMweb server."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.cli.prompt_options import box_mm_option, box_option, name_option

_PANEL = "DICOMweb (docs/dicomweb.md)"

Url = Annotated[
    str | None,
    typer.Option(
        "--dicomweb",
        metavar="URL",
        help="Segment series of this server, such as https://pacs.example.org/dicom-web: those of --study with the "
        "boxes below, or those of a table whose column `file` has their SeriesInstanceUIDs.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Study = Annotated[
    str | None, typer.Option("--study", metavar="UID", help="StudyInstanceUID of the study.", rich_help_panel=_PANEL)
]
SeriesUids = Annotated[
    list[str] | None,
    typer.Option(
        "--series",
        metavar="UID",
        help="SeriesInstanceUID of a series of the study; repeat it for more. Without it, all series with images are "
        "done, or those of --modality.",
        rich_help_panel=_PANEL,
    ),
]
BoxTexts = Annotated[list[str] | None, box_option(_PANEL)]
BoxTextsMm = Annotated[list[str] | None, box_mm_option(_PANEL)]
BoxNames = Annotated[list[str] | None, name_option(_PANEL)]
BoxesFrom = Annotated[
    str | None,
    typer.Option(
        "--boxes-from",
        help="Take the boxes of the objects in the study's SEG or RTSTRUCT: SEG, RTSTRUCT, or the UID of such a "
        "series. Or a file with boxes, as for `segment`.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Store = Annotated[
    bool,
    typer.Option(
        "--store/--no-store",
        help="Store each answer, a DICOM SEG, on the server; by default it is only written to ANSWERS.",
        rich_help_panel=_PANEL,
    ),
]
Auth = Annotated[
    Path | None,
    typer.Option(
        "--dicomweb-auth",
        metavar="FILE",
        help="File of one line, `Bearer TOKEN` or `USER:PASSWORD`. By default, the line is taken from the environment "
        "variable MEDSAM_ENGINE_DICOMWEB_AUTH.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Authorities = Annotated[
    Path | None,
    typer.Option(
        "--dicomweb-ca",
        metavar="FILE",
        help="PEM file of the certificate authorities to trust instead of the usual ones.",
        rich_help_panel=_PANEL,
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option(
        "--dicomweb-cert",
        metavar="FILE",
        help="PEM file with a client certificate and its key, for a server that asks for one.",
        rich_help_panel=_PANEL,
    ),
]
