# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine half`: f16 graphs for a bundle, and their certificate."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.atomic_file import check_writable, write_atomically
from medsam_engine.cli.export_tools import ProgressLine, export_tools
from medsam_engine.output_check import check_outputs


def half(
    bundle: Annotated[Path, typer.Argument(help="Model folder; it gets every graph once more, in f16.")],
    images: Annotated[
        Path | None, typer.Option(help="Challenge cases, *.npz: measure on them, and let the bundle say so.")
    ] = None,
    truth: Annotated[
        bool, typer.Option("--truth/--no-truth", help="Score against the key gts too, where a case has it.")
    ] = True,
    volumes: Annotated[bool, typer.Option("--volumes/--no-volumes", help="Volumes too, not only their slices.")] = True,
    table: Annotated[Path | None, typer.Option(help="CSV to write: a row an object.")] = None,
) -> None:
    """Add f16 graphs, which a GPU runs, to a bundle; with --images measure them on the CPU (needs torch)."""
    check_outputs({"--table": table}, [bundle, images])
    if bundle.is_dir():
        check_writable(bundle / "manifest.json")
    report = ProgressLine()
    with export_tools("half"):
        from medsam_engine_tools import certify, half_bundle

        half_bundle.add_half(bundle, report)
        if images is None:
            report(f"next: medsam-engine half {bundle} --images CASES")
            return
        certificate, rows = half_bundle.certify_half(bundle, images, truth=truth, volumes=volumes, progress=report)
        if table is not None:
            write_atomically(table, certify.table(rows).encode())
    for name, value in certificate["measured"].items():
        report(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value}")
