# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine eval`: scores masks against ground truth, with a table, a CSV file and a plot.

With --interactive, the masks are made here, by a simulated user (interactive.py).
"""

import csv
import io
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table

from medsam_engine.base.output_check import check_outputs
from medsam_engine.base.printable import csv_cell, csv_text_of, printable
from medsam_engine.base.whole_file import write_atomically
from medsam_engine.cli.input_options import MaxBytes
from medsam_engine.cli.json_output import Json, print_json
from medsam_engine.cli.measure import interactive as interaction
from medsam_engine.cli.measure.eval_plot import plot_png
from medsam_engine.cli.measure.not_scored import end_with_problems
from medsam_engine.cli.model_options import Bundle, Device, ModelOptions, Precision, Profile, Threads, TrustCertificates
from medsam_engine.cli.terminal import description_column, plain
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.extras import require
from medsam_engine.io.input_file import read_input
from medsam_engine.measure.metrics import Evaluation, GroupScore, SpacingOrder, evaluate_folder

_TIME_COLUMNS = ("time", "seconds", "time_s", "total_s", "wall_s", "runtime")
_CASE_COLUMNS = ("case", "name", "file")
# `run --csv` writes it before a name that a spreadsheet would take for a formula.
_FORMULA_MARK = re.compile(r"^'(?=[=+\-@])")


def read_times(path: Path) -> dict[str, float]:
    """Seconds by case name, from a CSV file with a column of cases and one of times. InvalidArgument otherwise."""
    expected = f"a CSV with columns {_CASE_COLUMNS[0]} and {_TIME_COLUMNS[0]}"
    try:
        rows = list(csv.DictReader(io.StringIO(read_input(path, "--times").decode("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(f"--times: got {path}, expected {expected}; {error}") from error
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {}) if isinstance(name, str)}
    case = next((columns[name] for name in _CASE_COLUMNS if name in columns), None)
    seconds = next((columns[name] for name in _TIME_COLUMNS if name in columns), None)
    if case is None or seconds is None:
        raise InvalidArgument(f"--times: got columns {', '.join(columns) or 'none'} in {path}, expected {expected}")
    times = {}
    for row in rows:
        if row.get("status", "done") != "done":
            continue  # `medsam-engine run --csv` lists skipped and failed cases too
        try:
            times[csv_text_of(row[case] or "")] = float(row[seconds])
        except (TypeError, ValueError):
            continue  # a case that failed has no time
    return times


def csv_text(evaluation: Evaluation) -> str:
    """The challenge's columns: case, dsc, nsd."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "dsc", "nsd"])
    for score in evaluation.cases:
        writer.writerow([csv_cell(score.case), *("" if math.isnan(v) else f"{v:.4f}" for v in (score.dsc, score.nsd))])
    return text.getvalue()


def _tables(evaluation: Evaluation) -> list[Table]:
    cases = Table("case", "modality", "DSC", "NSD", title="Cases", title_justify="left")
    for score in evaluation.cases:
        cases.add_row(plain(score.case), plain(score.modality or "-"), f"{score.dsc:.4f}", f"{score.nsd:.4f}")
    groups = Table("modality", "cases", "DSC", "NSD", title="Means", title_justify="left")
    for group in evaluation.by_modality():
        groups.add_row(plain(group.name or "-"), *_cells(group))
    groups.add_section()
    groups.add_row("all", *_cells(evaluation.mean()))
    return [cases, groups]


def _cells(group: GroupScore) -> tuple[str, str, str]:
    count = f"{group.cases}" if not group.undefined else f"{group.cases} ({group.undefined} NaN left out)"
    return count, f"{group.dsc:.4f}", f"{group.nsd:.4f}"


def _content(evaluation: Evaluation) -> dict[str, Any]:
    """Scores for --json: null where a metric is undefined; the means do not include these."""
    groups = [asdict(group) for group in evaluation.by_modality()]
    problems = [{"case": case, "reason": reason} for case, reason in evaluation.problems]
    cases = [{"case": s.case, "modality": s.modality or None, "dsc": s.dsc, "nsd": s.nsd} for s in evaluation.cases]
    return {"cases": cases, "by_modality": groups, "mean": asdict(evaluation.mean()), "not_scored": problems}


EXAMPLES = """Examples:

medsam-engine eval --segs answers --gts truth --csv scores.csv

medsam-engine eval --interactive --gts cases --start click --interactions 3 --plot clicks.png
"""


def evaluate(
    gts: Annotated[Path, typer.Option("--gts", "-g", help="Folder of ground truth, with the same file names.")],
    segs: Annotated[
        Path | None, typer.Option("--segs", "-s", help="Folder of predictions; required without --interactive.")
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="CSV file to write, with columns case, dsc, nsd; with --interactive, a row per interaction.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="PNG plot to write: DSC by modality, time by case; with --interactive, scores by clicks."),
    ] = None,
    times: Annotated[
        Path | None,
        typer.Option(help="CSV file of times for the plot: from `run --csv`, or with columns case, time."),
    ] = None,
    spacing_order: Annotated[
        str,
        typer.Option(
            help="Order of the spacing: challenge (as the published script passes it) or corrected (that of the masks)."
        ),
    ] = "challenge",
    max_bytes: MaxBytes = None,
    as_json: Json = False,
    interactive: interaction.Interactive = False,
    images: interaction.Images = None,
    start: interaction.StartOption = None,
    interactions: interaction.Interactions = None,
    propagate: interaction.Propagate = False,
    limit: interaction.Limit = None,
    least: interaction.Least = None,
    bundle: Bundle = None,
    profile: Profile = "clinical",
    precision: Precision = None,
    trust_certificates: TrustCertificates = False,
    device: Device = "CPU",
    threads: Threads = 0,
) -> None:
    """Score masks against ground truth as the MedSAM-on-laptop challenge does, or a session under simulated clicks."""
    if spacing_order not in ("challenge", "corrected"):
        raise InvalidArgument(f"--spacing-order: got '{spacing_order}', expected challenge or corrected; see --help")
    order: SpacingOrder = "challenge" if spacing_order == "challenge" else "corrected"
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise InvalidArgument(f"output: got {plot}, expected a name ending in .png; rename it")
        require("matplotlib", "--plot")
    require("surface_distance", "medsam-engine eval")
    options = interaction.InteractiveOptions(images, start, interactions, propagate, limit, least)
    model = ModelOptions(bundle, profile, precision, trust_certificates, device, threads)
    if interactive:
        if segs is not None or times is not None:
            got = "--segs" if segs is not None else "--times"
            raise InvalidArgument(f"{got}: got it with --interactive, expected one of them; the masks are made here")
        protocol = options.protocol(order)
        interaction.evaluate(gts, options, protocol, model, (csv_file, plot), max_bytes, as_json)
        return
    options.refuse()
    interaction.refuse_model(model)
    if segs is None:
        raise InvalidArgument("--segs: got none, expected a folder of predictions; or give --interactive")
    if times is not None and plot is None:
        raise InvalidArgument("--times: got a file without --plot, expected both; the times are only plotted")
    check_outputs({"--csv": csv_file, "--plot": plot}, [segs, gts, times])
    _score(segs, gts, order, (csv_file, plot), read_times(times) if times is not None else {}, max_bytes, as_json)


def _score(
    segs: Path,
    gts: Path,
    order: SpacingOrder,
    outputs: tuple[Path | None, Path | None],
    seconds: dict[str, float],
    max_bytes: int | None,
    as_json: bool,
) -> None:
    """Scores two folders and writes the CSV file and the plot of `outputs`. typer.Exit(1) if a case was not scored."""
    csv_file, plot = outputs
    notes = Console(stderr=True)
    columns = (description_column(), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task("score", total=None)
        evaluation = evaluate_folder(
            segs,
            gts,
            order,
            lambda done, total, name: bar.update(task, completed=done, total=total, description=printable(name)),
            max_bytes,
        )
    if csv_file is not None:
        write_atomically(csv_file, csv_text(evaluation).encode())
    if plot is not None:
        write_atomically(plot, plot_png(evaluation, seconds))
    if as_json:
        print_json("eval", {"segs": segs, "gts": gts, "spacing_order": order, **_content(evaluation)})
    else:
        console = Console()
        for table in _tables(evaluation):
            console.print(table)
    end_with_problems(notes, evaluation.problems, len(evaluation.cases))
