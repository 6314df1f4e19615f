# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine half`: adds f16 graphs and their certificate to a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.base.output_check import check_outputs
from medsam_engine.base.whole_file import check_writable, write_atomically
from medsam_engine.cli.bundle.export_tools import ProgressLine, export_tools


def half(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder; an f16 version of each graph is added to it.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of NPZ cases to measure; the certificate is added to the bundle.")
    ] = None,
    truth: Annotated[
        bool,
        typer.Option(
            "--truth/--no-truth", help="Also score against the ground truth (key gts) of the cases that have it."
        ),
    ] = True,
    volumes: Annotated[
        bool, typer.Option("--volumes/--no-volumes", help="Also measure whole volumes, not only their slices.")
    ] = True,
    table: Annotated[Path | None, typer.Option(help="CSV file to write, with one row per object.")] = None,
) -> None:
    """Add f16 graphs for GPUs to a bundle and, with --images, measure them on the CPU (needs torch)."""
    check_outputs({"--table": table}, [bundle, images])
    if bundle.is_dir():
        check_writable(bundle / "manifest.json")
    report = ProgressLine()
    with export_tools("half"):
        from medsam_engine_tools.approximate import certify, half_bundle

        half_bundle.add_half(bundle, report)
        if images is None:
            report(f"next: medsam-engine half {bundle} --images CASES")
            return
        certificate, rows = half_bundle.certify_half(bundle, images, truth=truth, volumes=volumes, progress=report)
        if table is not None:
            write_atomically(table, certify.table(rows).encode())
    for name, value in certificate["measured"].items():
        report(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value}")
