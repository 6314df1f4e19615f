# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine tune`: measures what is fastest on this machine, for `--precision auto` to use."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from medsam_engine import Engine, find_bundle
from medsam_engine._core import EngineInfo
from medsam_engine.base.cores import load_average, usable_cores
from medsam_engine.cli.json_output import Json, engine_object, print_json
from medsam_engine.cli.model_options import certificate_in_force
from medsam_engine.cli.terminal import say
from medsam_engine.errors import InvalidArgument
from medsam_engine.measure import tuning


def in_words(info: EngineInfo) -> str:
    """What precision auto chose for an engine that was made with it."""
    source = "tuned on this machine" if info.tuned else "not tuned here, see `medsam-engine tune`"
    threads = f"{info.threads} threads" if info.threads else "all threads"
    return f"encoder {info.encoder_precision}, decoder {info.decoder_precision}, {threads}; {source}"


def _table(title: str, measured: Sequence[tuning.Measured], choice: tuning.Measured) -> Table:
    table = Table("encoder/decoder", "threads", title=title, title_justify="left")
    for name in ("encode, ms", "next prompt, ms", "together, ms"):
        table.add_column(name, justify="right")
    table.add_column("result")
    for row in measured:
        times = (f"{t:.2f}" for t in (row.encode_ms, row.prompt_ms, row.total_ms))
        table.add_row(f"{row.encoder}/{row.decoder}", str(row.threads or "all"), *times, _result(row, choice))
    return table


def _result(row: tuning.Measured, choice: tuning.Measured) -> str:
    """Why a row was chosen or not, so that a faster row that was not chosen does not look like an error."""
    if row is choice:
        return "chosen"
    if row.total_ms < choice.total_ms:  # the gain over an earlier row is within the noise
        return f"faster by less than {tuning.MARGIN:.0%}, so the earlier row is kept"
    return ""


EXAMPLES = """Examples:

medsam-engine tune

medsam-engine tune my_bundle --show
"""


def tune(
    bundle: Annotated[
        Path | None, typer.Argument(help="Model folder; by default $MEDSAM_ENGINE_BUNDLE, or else the fetched one.")
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Number of timed calls of each stage, after one warm-up call.")
    ] = 15,
    size: Annotated[int, typer.Option(min=64, max=8192, help="Side length of the image in pixels.")] = 1024,
    show: Annotated[bool, typer.Option("--show", help="Only show the stored choice.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Only remove the stored choice.")] = False,
    as_json: Json = False,
) -> None:
    """Find the fastest certified precision and number of threads on this machine, for `--precision auto` to use."""
    if show and clear:
        raise InvalidArgument("tune: got --show and --clear, expected one of them")
    folder = find_bundle(bundle)
    console = Console(soft_wrap=True, highlight=False)
    if clear:
        found = tuning.clear(Engine(folder).info)
        if as_json:
            print_json("tune", {"bundle": folder, "removed": found})
        else:
            console.print("removed" if found else "nothing was stored")
        return
    result = None if show else _measured(folder, size, repeats)
    info = Engine(folder, precision="auto").info
    stored = tuning.stored_file(info) if info.tuned else None
    if as_json:
        engine = engine_object(info, certificate_in_force(info))
        print_json("tune", {"bundle": folder, "measured": _rows(result), "auto": engine, "stored": stored})
        return
    if result is not None:
        tables = Console()
        tables.print(_table("1. Precisions, on all threads (medians)", result.by_precision, result.best_precision))
        tables.print(
            _table("2. Threads, in that precision, measured again (medians)", result.by_threads, result.choice)
        )
    say(console, f"precision auto: {in_words(info)}")
    say(console, f"stored in {stored}" if stored else "nothing is stored")


def _measured(folder: Path, size: int, repeats: int) -> tuning.Tuned:
    notes = Console(stderr=True)
    cores, load = usable_cores(), load_average()
    if load is not None and load > cores / 2:
        notes.print(f"this machine is busy (load {load:.1f} on {cores} cores), so the times are rough")
    with notes.status("load") as status:
        return tuning.tune(folder, size, repeats, progress=status.update)


def _rows(result: tuning.Tuned | None) -> dict[str, list[dict[str, Any]]] | None:
    if result is None:
        return None
    rounds = {"precisions": result.by_precision, "threads": result.by_threads}
    return {name: [asdict(row) for row in rows] for name, rows in rounds.items()}
