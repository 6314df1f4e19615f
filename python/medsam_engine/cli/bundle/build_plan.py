# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine build-plan`: compiles a bundle for a GPU, on a machine with or without one."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.base.output_check import check_output_folder
from medsam_engine.cli.bundle.export_tools import ProgressLine
from medsam_engine.errors import InvalidArgument


def build_plan(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    target: Annotated[str, typer.Option(help="GPU generations, separated by commas, for example sm_89,sm_120.")],
    cache_dir: Annotated[
        Path | None, typer.Option(help="Folder for the plans; by default the engine's cache folder.")
    ] = None,
) -> None:
    """Compile a bundle ahead of time with TensorRT for RTX (needs the extra [cuda], but no GPU)."""
    check_output_folder("--cache-dir", cache_dir, [])  # plans are named by their hash: nothing is replaced
    from medsam_engine_tools.errors import ExportError
    from medsam_engine_tools.gpu import plans

    report = ProgressLine()
    try:
        files = plans.build_plans(
            bundle, [word for word in target.split(",") if word], cache=cache_dir, progress=report
        )
    except ExportError as error:
        raise InvalidArgument(f"build-plan: {error}") from error
    report(f"{len(files)} plans in {files[0].parent}")
