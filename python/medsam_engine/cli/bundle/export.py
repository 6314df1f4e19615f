# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine export`: converts a published checkpoint into a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.base.output_check import check_output_folder
from medsam_engine.base.packages import EXPORT
from medsam_engine.cli.bundle.export_tools import ProgressLine, export_tools
from medsam_engine.errors import InvalidArgument


def named_files(words: list[str]) -> dict[str, Path]:
    """The files by name, from words NAME=FILE. InvalidArgument if a word has another form or a name occurs twice."""
    files: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not (name and equals and file):
            raise InvalidArgument(f"--expert: got '{word}', expected NAME=FILE")
        if name in files:
            raise InvalidArgument(f"--expert: got '{name}' twice, expected each expert once")
        files[name] = Path(file)
    return files


def _has_native_weights(family: str) -> bool:
    """Whether a bundle of this family needs no graphs; a name that is unknown is reported by the export."""
    with export_tools("export", ()):
        from medsam_engine_tools.export import families

        return family in families.NATIVE or family not in (*families.REGISTRY, "auto")


def export(
    family: Annotated[
        str, typer.Argument(help="Family of the checkpoint, for example litemedsam; auto detects it from the tensors.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the bundle: a new or empty folder, or an older bundle to replace.")
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="File of published weights; in a family with experts, the file of the fallback expert."),
    ] = None,
    expert: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE", help="Weights file of one expert (daft), for example 3D=3D.pth. Repeat for more."
        ),
    ] = None,
    clip: Annotated[
        Path | None,
        typer.Option(help="Folder of the CLIP model that the family uses, in the layout of transformers (mcp_medsam)."),
    ] = None,
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx", help="Write the ONNX graphs, too (needs torch); families without native weights always do."
        ),
    ] = False,
) -> None:
    """Convert a published checkpoint into a bundle (needs torch, but for litemedsam without --onnx)."""
    experts = named_files(expert or [])
    check_output_folder("--out", out, [checkpoint, clip, *experts.values()])
    report = ProgressLine()
    native = not onnx and _has_native_weights(family)
    with export_tools("export", () if native else EXPORT):
        if native:
            from medsam_engine_tools.export.native_bundle import export_native as run
        else:
            from medsam_engine_tools.export.export import export as run

        report(f"wrote {run(family, checkpoint, out, report, companion=clip, experts=experts)}")
