# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options of `medsam-engine run` for series of a DICOMweb server."""

from pathlib import Path
from typing import Annotated

import typer

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
Study = Annotated[str | None, typer.Option("--study", metavar="UID", help="StudyInstanceUID.", rich_help_panel=_PANEL)]
SeriesUids = Annotated[
    list[str] | None,
    typer.Option(
        "--series",
        metavar="UID",
        help="SeriesInstanceUID of a series of the study; repeat it for more. Without it, all series with images, or "
        "those of --modality.",
        rich_help_panel=_PANEL,
    ),
]
BoxTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        help="x0,y0,z0,x1,y1,z1 in voxels, ends inclusive, as for `segment`; repeat it for more objects.",
        rich_help_panel=_PANEL,
    ),
]
BoxTextsMm = Annotated[
    list[str] | None,
    typer.Option("--box-mm", help="The same in mm (LPS, the patient coordinates of DICOM).", rich_help_panel=_PANEL),
]
BoxNames = Annotated[
    list[str] | None,
    typer.Option("--name", help="Name of each object, in the order of the boxes.", rich_help_panel=_PANEL),
]
BoxesFrom = Annotated[
    str | None,
    typer.Option(
        "--boxes-from",
        help="SEG, RTSTRUCT or the UID of such a series of the study: the boxes of its objects; or a file, as for "
        "`segment`.",
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
        help="File of one line, `Bearer TOKEN` or `USER:PASSWORD`; by default, the variable "
        "MEDSAM_ENGINE_DICOMWEB_AUTH has it.",
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
        help="PEM file with a certificate and its key that the server asks for.",
        rich_help_panel=_PANEL,
    ),
]
