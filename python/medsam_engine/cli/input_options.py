# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Options shared by all commands that read images or label maps."""

from typing import Annotated

import typer

MaxBytes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Limit on the unpacked size of the voxels of a file, in bytes; by default a quarter of the memory.",
        rich_help_panel="Image",
        show_default=False,
    ),
]
