# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine certify`: measure whether an approximation keeps the masks, and let the bundle say so."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine import Engine
from medsam_engine.atomic_file import check_writable, write_atomically
from medsam_engine.cli.export_tools import ProgressLine, export_tools
from medsam_engine.errors import Unsupported
from medsam_engine.output_check import check_outputs


def certify(
    bundle: Annotated[Path, typer.Argument(help="Model folder; its manifest gets the certificate.")],
    images: Annotated[
        Path, typer.Option(help="Challenge cases, *.npz with imgs and boxes, at least 40 images with volumes' slices.")
    ],
    encoder: Annotated[
        str, typer.Option(help="What the encoder is to compute in: f32, bf16, bf16_mixed or f16.")
    ] = "bf16_mixed",
    decoder: Annotated[str, typer.Option(help="And the decoder.")] = "bf16",
    truth: Annotated[
        bool, typer.Option("--truth/--no-truth", help="Score against the key gts too, where a case has it.")
    ] = True,
    profile: Annotated[str, typer.Option(help="Rules to run with.")] = "clinical",
    table: Annotated[Path | None, typer.Option(help="CSV to write: a row an object.")] = None,
) -> None:
    """Measure an approximation against f32 on real images and add its certificate to the bundle."""
    check_outputs({"--table": table}, [bundle, images])
    if bundle.is_dir():
        check_writable(bundle / "manifest.json")
    report = ProgressLine()
    with export_tools("certify", needs=()):
        from medsam_engine_tools import certify as tool

        certificate, rows = tool.certify(
            bundle, images, encoder=encoder, decoder=decoder, truth=truth, profile=profile, progress=report
        )
        if table is not None:
            write_atomically(table, tool.table(rows).encode())
    for name, value in certificate["measured"].items():
        report(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value}")
    try:
        Engine(bundle, precision=f"{encoder}/{decoder}")
    except Unsupported as error:
        report(f"the certificate does not hold: {error}")
        raise typer.Exit(1) from error
    report(f"certified: {certificate['precision']} (encoder {encoder}, decoder {decoder})")
