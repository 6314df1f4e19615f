# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine eval --interactive`: a simulated user corrects masks, and each step is scored."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from medsam_engine import Engine, find_bundle
from medsam_engine.base.output_check import check_outputs
from medsam_engine.base.printable import printable
from medsam_engine.base.whole_file import write_atomically
from medsam_engine.cli.json_output import engine_object, print_json
from medsam_engine.cli.measure import interactive_report as report
from medsam_engine.cli.measure.interactive_cases import evaluate_interaction
from medsam_engine.cli.measure.interactive_plot import plot_png
from medsam_engine.cli.measure.not_scored import end_with_problems
from medsam_engine.cli.model_options import ModelOptions, certificate_in_force, precision_note
from medsam_engine.cli.terminal import description_column, log_to, say
from medsam_engine.errors import InvalidArgument
from medsam_engine.measure.interaction import Protocol
from medsam_engine.measure.interaction_means import InteractiveEvaluation
from medsam_engine.measure.metrics import SpacingOrder
from medsam_engine.measure.simulated_user import STARTS, Start

_PANEL = "With --interactive"
Interactive = Annotated[
    bool,
    typer.Option(
        "--interactive",
        help="Segment the images with a simulated user instead of scoring --segs: a box or a click, then clicks on the "
        "worst error; DSC and NSD after each.",
        rich_help_panel=_PANEL,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        "-i",
        help="Folder of images with the file names of --gts; by default --gts itself, if its NPZ files have `imgs` and "
        "`gts`.",
        rich_help_panel=_PANEL,
    ),
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--start",
        help="What begins an object: box (tight, of a volume in 3D), click (the place farthest from the edge), or "
        "slice-box (the box of the middle slice). The last two are propagated through a volume. The default is box.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Interactions = Annotated[
    int | None,
    typer.Option(
        min=0, help="Number of correcting clicks. The default is 5.", show_default=False, rich_help_panel=_PANEL
    ),
]
Propagate = Annotated[
    bool,
    typer.Option("--propagate", help="Propagate each correction in a volume from its slice.", rich_help_panel=_PANEL),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Take at most this many objects of an image, by label.", rich_help_panel=_PANEL),
]
Least = Annotated[
    int | None,
    typer.Option(
        min=1, help="Leave out objects of fewer pixels or voxels, before --limit counts.", rich_help_panel=_PANEL
    ),
]


@dataclass(frozen=True)
class InteractiveOptions:
    """The options that count only with --interactive; None or False where they were not given."""

    images: Path | None
    start: str | None
    interactions: int | None
    propagate: bool
    limit: int | None
    least: int | None

    def refuse(self) -> None:
        """Says that one was given without --interactive. InvalidArgument."""
        for name, value in asdict(self).items():
            if value is not None and value is not False:
                raise InvalidArgument(f"--{name}: got it without --interactive, expected both; see --help")

    def protocol(self, spacing_order: SpacingOrder) -> Protocol:
        """What the simulated user does. InvalidArgument: an unknown start."""
        start = self.start or "box"
        if start not in STARTS:
            raise InvalidArgument(f"--start: got '{start}', expected {', '.join(STARTS)}; see --help")
        number = 5 if self.interactions is None else self.interactions
        return Protocol(cast(Start, start), number, self.propagate, self.limit, self.least or 1, spacing_order)


def refuse_model(model: ModelOptions) -> None:
    """Says that an option of the model was given without --interactive. InvalidArgument."""
    for name, value in asdict(model).items():
        if value != getattr(ModelOptions, name):
            option = name.replace("_", "-")
            raise InvalidArgument(f"--{option}: got it without --interactive, expected both; see --help")


def evaluate(
    gts: Path,
    options: InteractiveOptions,
    protocol: Protocol,
    model: ModelOptions,
    outputs: tuple[Path | None, Path | None],
    max_bytes: int | None,
    as_json: bool,
) -> None:
    """Runs the evaluation and writes the CSV file and the plot of `outputs`. typer.Exit(1) if a case was not scored."""
    images = options.images or gts
    folder = find_bundle(model.bundle)
    csv_file, plot = outputs
    check_outputs({"--csv": csv_file, "--plot": plot}, [images, gts, folder])
    notes = Console(stderr=True)
    log_to(notes)
    engine = model.engine()
    say(notes, precision_note(engine.info, model.asked_precision))
    evaluation = _run(engine, images, gts, protocol, max_bytes, notes)
    if csv_file is not None:
        write_atomically(csv_file, report.csv_text(evaluation).encode())
    if plot is not None:
        write_atomically(plot, plot_png(evaluation, f"{engine.info.family}: {protocol.start}, then correcting clicks"))
    if as_json:
        about = engine_object(engine.info, certificate_in_force(engine.info))
        places = {"interactive": True, "images": images, "gts": gts, "bundle": folder}
        print_json("eval", {**places, **about, **asdict(protocol), **report.content(evaluation)})
    else:
        console = Console()
        for table in report.tables(evaluation, protocol.interactions):
            console.print(table)
    end_with_problems(notes, evaluation.problems, len(evaluation.cases))


def _run(
    engine: Engine, images: Path, gts: Path, protocol: Protocol, max_bytes: int | None, notes: Console
) -> InteractiveEvaluation:
    columns = (description_column(), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task("interact", total=None)
        return evaluate_interaction(
            engine,
            images,
            gts,
            protocol,
            max_bytes,
            lambda done, total, name: bar.update(task, completed=done, total=total, description=printable(name)),
        )
