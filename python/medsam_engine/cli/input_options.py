# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Options of every command that reads images or label maps."""

from typing import Annotated

import typer

MaxBytes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Most bytes that the voxels of a file may have, unpacked; by default a quarter of the memory.",
        rich_help_panel="Image",
        show_default=False,
    ),
]
