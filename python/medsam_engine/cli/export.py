# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine export`: a published checkpoint as a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.cli.export_tools import ProgressLine, export_tools


def export(
    family: Annotated[
        str, typer.Argument(help="Family of the checkpoint, e.g. litemedsam; auto tells it from the tensors.")
    ],
    checkpoint: Annotated[Path, typer.Option(help="Weights file, as published.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; absent, empty, or an older bundle to replace.")],
) -> None:
    """Export a published checkpoint as a bundle (needs torch)."""
    report = ProgressLine()
    with export_tools("export"):
        from medsam_engine_tools.export import export as run

        report(f"wrote {run(family, checkpoint, out, report)}")
