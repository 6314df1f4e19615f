# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine tune`: measure what is fastest on this machine, and let `--precision auto` use it."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from medsam_engine import Engine, find_bundle, tuning
from medsam_engine._core import EngineInfo
from medsam_engine.cli.terminal import say
from medsam_engine.errors import InvalidArgument


def in_words(info: EngineInfo) -> str:
    """What precision auto does, of an engine that was made with it."""
    source = "tuned on this machine" if info.tuned else "not tuned here, see `medsam-engine tune`"
    threads = f"{info.threads} threads" if info.threads else "all threads"
    return f"encoder {info.encoder_precision}, decoder {info.decoder_precision}, {threads}; {source}"


def _table(measured: list[tuning.Measured], choice: tuning.Measured) -> Table:
    table = Table("encoder/decoder", "threads", title="Medians, milliseconds", title_justify="left")
    for name in ("encode", "next prompt", "together"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in measured:
        times = (f"{t:.2f}" for t in (row.encode_ms, row.prompt_ms, row.total_ms))
        mark = "chosen" if row is choice else ""
        table.add_row(f"{row.encoder}/{row.decoder}", str(row.threads or "all"), *times, mark)
    return table


def tune(
    bundle: Annotated[
        Path | None, typer.Argument(help="Model folder; else $MEDSAM_ENGINE_BUNDLE, else the one that was fetched.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each stage, after one that warms up.")] = 15,
    size: Annotated[int, typer.Option(min=64, max=8192, help="Side of the image, pixels.")] = 1024,
    show: Annotated[bool, typer.Option("--show", help="Only say what is stored.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Only remove what is stored.")] = False,
) -> None:
    """Find the fastest certified precision and number of threads here; `--precision auto` then uses them."""
    if show and clear:
        raise InvalidArgument("tune: got --show and --clear, expected one of them")
    folder = find_bundle(bundle)
    console = Console(soft_wrap=True, highlight=False)
    if clear:
        found = tuning.clear(Engine(folder).info)
        console.print("removed" if found else "nothing was stored")
        return
    if not show:
        notes = Console(stderr=True)
        cores = len(os.sched_getaffinity(0))
        if os.getloadavg()[0] > cores / 2:
            notes.print(f"this machine is busy (load {os.getloadavg()[0]:.1f} on {cores} cores): rough times")
        with notes.status("load") as status:
            choice, measured = tuning.tune(folder, size, repeats, progress=status.update)
        Console().print(_table(measured, choice))
    info = Engine(folder, precision="auto").info
    say(console, f"precision auto: {in_words(info)}")
    say(console, f"stored in {tuning.stored_file(info)}" if info.tuned else "nothing is stored")
