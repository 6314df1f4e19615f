# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine bench`: times the stages of a bundle on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from medsam_engine import __version__, find_bundle
from medsam_engine.base.output_check import check_outputs
from medsam_engine.base.whole_file import write_atomically
from medsam_engine.cli.info import kernels_in_words
from medsam_engine.cli.json_output import json_text, print_json
from medsam_engine.cli.measure.bench_plot import plot_png
from medsam_engine.cli.terminal import plain
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.extras import require
from medsam_engine.measure.bench import StageTime, available_engines, measure, with_bounds
from medsam_engine.measure.machine import describe_machine


def _stage_table(times: Sequence[StageTime], size: int) -> Table:
    title = f"Milliseconds, one {size} x {size} RGB image"
    explained = (
        "matrix bound: the time of the stage's matrix products alone at the rate measured on this processor; "
        "of the bound: the time of the stage divided by the bound, at best 1.00x"
    )
    bounded = any(row.bound_ms is not None for row in times)
    table = Table(
        "stage",
        "precision",
        title=title,
        title_justify="left",
        caption=explained if bounded else None,
        caption_justify="left",
    )
    for name in ("median", "p95", "calls", "matrix bound", "of the bound"):
        table.add_column(name, justify="right")
    stage = None
    for row in times:
        if stage not in (None, row.stage):
            table.add_section()
        bound = ("-", "-") if row.bound_ms is None else (f"{row.bound_ms:.2f}", f"{row.median_ms / row.bound_ms:.2f}x")
        numbers = (f"{row.median_ms:.2f}", f"{row.p95_ms:.2f}", str(row.calls))
        table.add_row("" if stage == row.stage else row.stage, row.precision, *numbers, *bound)
        stage = row.stage
    return table


def _fact_table(title: str, facts: Mapping[str, str]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(plain(name), plain(value))
    return table


STDOUT = Path("-")
EXAMPLES = """Examples:

medsam-engine bench

medsam-engine bench my_bundle --plot times.png --json times.json
"""


def with_json_target(arguments: Sequence[str]) -> list[str]:
    """`bench --json` without a file becomes `bench --json -`; the option is older than --json of the other commands."""
    words = list(arguments)
    if words[:1] == ["bench"] and "--json" in words:
        after = words.index("--json") + 1
        value = words[after] if after < len(words) else "--"
        if (value.startswith("-") and value != "-") or Path(value).is_dir():  # a folder is the bundle
            words.insert(after, "-")
    return words


def _check_outputs(json_file: Path | None, plot: Path | None, bundle: Path) -> None:
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise InvalidArgument(f"--plot: got {plot}, expected a name ending in .png; rename it")
        require("matplotlib", "--plot")
    check_outputs({"--json": None if json_file == STDOUT else json_file, "--plot": plot}, [bundle])


def bench(
    bundle: Annotated[
        Path | None, typer.Argument(help="Model folder; by default $MEDSAM_ENGINE_BUNDLE, or else the fetched one.")
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Number of timed calls of each stage, after one warm-up call.")
    ] = 15,
    size: Annotated[int, typer.Option(min=64, max=8192, help="Side length of the image in pixels.")] = 1024,
    threads: Annotated[int, typer.Option(min=0, help="Inference threads; 0 = all cores.")] = 0,
    profile: Annotated[str, typer.Option(help="clinical, or the rules of a published system.")] = "clinical",
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Also time precisions for which the bundle has no certificate.")
    ] = False,
    roofline: Annotated[
        bool, typer.Option(help="Measure the matrix rate of the processor and the bound of each stage.")
    ] = True,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="[FILE]",
            help="Print everything as one JSON object on standard output, or write it to FILE.",
            rich_help_panel="Output",
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG plot to write.", rich_help_panel="Output")] = None,
) -> None:
    """Time the stages of a bundle on this machine, in every precision in which it may run."""
    folder = find_bundle(bundle)
    _check_outputs(json_file, plot, folder)
    notes = Console(stderr=True)
    with notes.status("load") as status:
        engines, refused = available_engines(folder, threads, profile, uncertified)
        times = measure(engines, size, repeats, status.update)
        if roofline:
            status.update("the processor's matrix rate")
            times = with_bounds(times, folder, engines, threads)
    info = engines["f32"].info
    about = {
        "bundle": str(folder),
        "family": f"{info.family}, profile {info.profile}",
        "model hash": info.model_hash,
        "engine": f"medsam-engine {__version__}, kernels {kernels_in_words()}",
        "backend": f"{info.backend}, {info.device}",
        "threads": str(threads or "all"),
        **{f"{name} left out": reason for name, reason in refused.items()},
    }
    machine = describe_machine()
    content = {"machine": machine, "model": about, "image": size, "stages": [asdict(row) for row in times]}
    if json_file not in (None, STDOUT):
        write_atomically(json_file, (json_text("bench", content) + "\n").encode())
    if plot is not None:
        write_atomically(plot, plot_png(times, f"{info.family} on {info.device}, {size} x {size}"))
    if json_file == STDOUT:
        print_json("bench", content)
        return
    console = Console()
    for table in (_fact_table("Machine", machine), _fact_table("Model", about), _stage_table(times, size)):
        console.print(table)
