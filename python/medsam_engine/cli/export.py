# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine export`: convert a published checkpoint into a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.cli.export_tools import ProgressLine, export_tools
from medsam_engine.errors import InvalidArgument
from medsam_engine.output_check import check_output_folder


def named_files(words: list[str]) -> dict[str, Path]:
    """NAME=FILE words as a table. InvalidArgument where one is not of that form or a name comes twice."""
    files: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not (name and equals and file):
            raise InvalidArgument(f"--expert: got '{word}', expected NAME=FILE")
        if name in files:
            raise InvalidArgument(f"--expert: got '{name}' twice, expected each expert once")
        files[name] = Path(file)
    return files


def export(
    family: Annotated[
        str, typer.Argument(help="Family of the checkpoint, e.g. litemedsam; auto detects it from the tensors.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the bundle: a new or empty one, or an older bundle to replace.")
    ],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Published weights file; in a family with experts, that of the fallback.")
    ] = None,
    expert: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Weights file of one expert (daft), e.g. 3D=3D.pth; repeatable."),
    ] = None,
    clip: Annotated[
        Path | None,
        typer.Option(help="The CLIP model that the family is built on, as a transformers folder (mcp_medsam)."),
    ] = None,
) -> None:
    """Convert a published checkpoint into a bundle (needs torch)."""
    experts = named_files(expert or [])
    check_output_folder("--out", out, [checkpoint, clip, *experts.values()])
    report = ProgressLine()
    with export_tools("export"):
        from medsam_engine_tools.export import export as run

        report(f"wrote {run(family, checkpoint, out, report, companion=clip, experts=experts)}")
