# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine fetch`: downloads published weights and exports them."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.base.output_check import check_output_folder
from medsam_engine.base.packages import EXPORT
from medsam_engine.cli.bundle.export_tools import ProgressLine, export_tools


def fetch(
    model: Annotated[str, typer.Argument(help="Name of the published weights, for example litemedsam.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the bundle; by default a folder in the user's data folder.")
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write the ONNX graphs, too, for GPUs and other precisions (needs torch).")
    ] = False,
) -> None:
    """Download published weights and make their bundle."""
    report = ProgressLine()
    with export_tools("fetch", EXPORT if onnx else ()):
        from medsam_engine_tools.export.fetch import checkpoint_file
        from medsam_engine_tools.export.fetch import fetch as run

        check_output_folder("--out", out, [checkpoint_file(model)])
        report(f"bundle: {run(model, out, report, onnx)}")
