# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine certify`: measures whether an approximation keeps the masks, and records it in the bundle."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine import Engine
from medsam_engine.base.output_check import check_outputs
from medsam_engine.base.whole_file import check_writable, write_atomically
from medsam_engine.cli.bundle.export_tools import ProgressLine, export_tools
from medsam_engine.errors import Unsupported


def certify(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder; the certificate is added to its manifest.")],
    images: Annotated[
        Path,
        typer.Option(help="Folder of NPZ cases with imgs and boxes; at least 40 images, counting slices of volumes."),
    ],
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Precision of the encoder: f32, bf16, bf16_mixed, bf16_fused, f32_fused, f16 or int8. The default is "
            "bf16_mixed, and bf16_fused for a bundle without graphs.",
            show_default=False,
        ),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            help="Precision of the decoder: f32, bf16, bf16_fused, f32_fused or f16. The default is bf16, and "
            "bf16_fused for a bundle without graphs.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="For a bundle without graphs: one of the same checkpoint with them (exported with --onnx), which runs "
            "in f32 in its place.",
        ),
    ] = None,
    truth: Annotated[
        bool,
        typer.Option(
            "--truth/--no-truth", help="Also score against the ground truth (key gts) of the cases that have it."
        ),
    ] = True,
    profile: Annotated[str, typer.Option(help="Profile to measure with.")] = "clinical",
    table: Annotated[Path | None, typer.Option(help="CSV file to write, with one row per object.")] = None,
) -> None:
    """Measure an approximation against f32 on real images and add its certificate to the bundle."""
    check_outputs({"--table": table}, [bundle, images, reference])
    if bundle.is_dir():
        check_writable(bundle / "manifest.json")
    report = ProgressLine()
    with export_tools("certify", needs=()):
        from medsam_engine_tools.approximate import certify as tool

        certificate, rows = tool.certify(
            bundle,
            images,
            encoder=encoder,
            decoder=decoder,
            truth=truth,
            profile=profile,
            reference=reference,
            progress=report,
        )
        if table is not None:
            write_atomically(table, tool.table(rows).encode())
    for name, value in certificate["measured"].items():
        report(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value}")
    stages = certificate["stages"]
    try:
        Engine(bundle, precision=f"{stages['encoder']}/{stages['decoder']}")
    except Unsupported as error:
        report(f"the certificate does not hold: {error}")
        raise typer.Exit(1) from error
    report(f"certified: {certificate['precision']} (encoder {stages['encoder']}, decoder {stages['decoder']})")
