# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine quantize`: adds an int8 encoder to a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.base.output_check import check_output_folder
from medsam_engine.base.whole_file import check_writable
from medsam_engine.cli.bundle.export_tools import ProgressLine, export_tools


def quantize(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder; an int8 encoder is added to it.")],
    images: Annotated[Path, typer.Option(help="Folder of NPZ cases with imgs and boxes, for the calibration.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for a changed copy of the bundle; without it, the bundle itself is changed."),
    ] = None,
    budget: Annotated[
        float, typer.Option(help="Largest accepted error of the embedding, relative to its spread.")
    ] = 0.02,
    rest: Annotated[str, typer.Option(help="Precision of the other layers: f32 or bf16.")] = "f32",
) -> None:
    """Add an int8 encoder to a bundle (needs nncf and torch). Run `certify --encoder int8` afterwards to measure it."""
    check_output_folder("--out", out, [bundle, images])
    if bundle.is_dir() and out is None:
        check_writable(bundle / "manifest.json")
    report = ProgressLine()
    with export_tools("quantize"):
        from medsam_engine_tools.approximate import quantize as tool

        done = tool.quantize(bundle, images, out=out, budget=budget, rest=rest, progress=report)
    report(
        f"{done.layers} of {done.candidates} large layers are int8 ({done.share:.0%} of the work of all large layers)"
    )
    report(f"error of the embedding: {done.error:.4f}; wrote {done.path}")
    report(f"next: medsam-engine certify {done.path.parent} --images {images} --encoder int8 --decoder f32")
