# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` over a folder of NPZ cases, by the same C++ code as in the program medsam-npz."""

import time
from dataclasses import dataclass
from pathlib import Path

from medsam_engine import FolderReport, FolderRun, ModelError, find_bundle
from medsam_engine.base.output_check import check_outputs
from medsam_engine.cli.run.model import Model
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cli.run.table_command import TableOptions
from medsam_engine.cohort.answer_paths import RECORD_SUFFIX
from medsam_engine.errors import InvalidArgument


@dataclass(frozen=True)
class FolderOptions:
    """The options for a folder of NPZ cases."""

    cases: Path
    answers: Path
    overwrite: bool
    csv: Path | None
    modality: str | None
    max_bytes: int | None
    times: bool

    @staticmethod
    def of(cases: Path, table: TableOptions, times: bool) -> "FolderOptions":
        """Those of the options of a run that a folder of NPZ cases has, too."""
        run = table.run
        return FolderOptions(cases, Path(run.answers), run.overwrite, table.csv, run.modality, run.max_bytes, times)


def run_folder(options: FolderOptions, model: Model, screen: RunScreen) -> bool:
    """Returns whether all cases were done and the table of times was written."""
    started = time.perf_counter()
    try:
        also_read = [find_bundle(model.options.bundle)]
    except ModelError:
        also_read = []  # no model is needed if every answer exists
    if options.cases.is_dir():
        check_outputs({"--csv": options.csv}, [*options.cases.glob("*.npz"), *also_read])
        if not options.overwrite:
            _refuse_answers_of_a_table(options)
    run = FolderRun(
        options.cases,
        options.answers,
        overwrite=options.overwrite,
        csv=options.csv,
        modality=options.modality,
        max_bytes=options.max_bytes,
        also_read=also_read,
    )
    listed = time.perf_counter()
    engine = None
    if run.pending:
        engine = model.load(screen)
        about = engine.info
        tuned = " (tuned)" if about.tuned else ""
        screen.note(
            f"{about.family}, profile {about.profile}, {about.precision}{tuned} on {about.device}, "
            f"{run.pending} of {run.size} cases to do"
        )
    phases = [("list cases", listed - started), ("load bundle, compile models", time.perf_counter() - listed)]
    try:
        with screen.bar:
            report = run.run(engine, progress=screen.progress, finished=screen.finished)
    finally:
        screen.summary()
    if report.csv_fault:
        screen.complain(report.csv_fault)
    if options.times:
        for name, seconds in phases + _first_case(report):
            screen.complain(f"{name:<48} {seconds * 1000:10.1f} ms")
    return not (report.failed or report.csv_fault)


def _first_case(report: FolderReport) -> list[tuple[str, float]]:
    first = next((case for case in report.cases if case.status == "done"), None)
    if first is None:
        return []
    return [
        ("read first case (while the model loads)", first.read_s),
        ("segment first case", first.segment_s),
        ("write first case (while the next is segmented)", first.write_s),
    ]


def _refuse_answers_of_a_table(options: FolderOptions) -> None:
    """An answer with a record beside it was made from the boxes of a table: not what is to be skipped as finished."""
    for case in sorted(options.cases.glob("*.npz")):
        record = options.answers / (case.name + RECORD_SUFFIX)
        if record.exists() and (options.answers / case.name).exists():
            raise InvalidArgument(
                f"output: got {record}, which a table of cases left beside its answer, expected answers of a folder of "
                "NPZ cases only; choose another folder, or give --overwrite"
            )
