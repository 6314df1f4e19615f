# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` with a table of cases, from its options to its exit status."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medsam_engine import Engine
from medsam_engine.base.output_check import ReadFiles, check_output_folder, check_outputs
from medsam_engine.cli.run.result_tables import ResultTables
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cohort.answer_paths import CaseFiles, case_files
from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.cohort.case_run import CaseRun
from medsam_engine.cohort.case_sources import read_cases
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.worker import CaseWorker
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.source_files import source_files


@dataclass(frozen=True)
class TableOptions:
    """What was asked for on the command line beside the options of the run; None = not asked for.

    Attributes:
        source: the table, the list or the folder.
        run: the options that hold for every case.
        csv, objects: tables to write.
    """

    source: Path
    run: RunOptions
    csv: Path | None
    objects: Path | None


def run_table(options: TableOptions, bundle: Path, make_engine: Callable[[], Engine], screen: RunScreen) -> int:
    """Runs a table's cases and says how they end; returns how many failed, a table that was not written among them.

    Nothing is written before the whole table has been read and every place looked at.

    Raises:
        InvalidArgument: the table or a place is not usable.
        Error: the model cannot be loaded.
    """
    run = options.run
    run.check()
    listed = read_cases(options.source)
    previews = None if run.previews is None else Path(run.previews)
    cases = case_files(listed.cases, Path(run.answers), run.output_format, previews, run.template)
    _check_places(options, cases, bundle)
    for note in listed.notes:
        screen.note(f"note: {note}")
    engine = make_engine()
    about = engine.info
    tuned = " (tuned)" if about.tuned else ""
    screen.note(
        f"{about.family}, profile {about.profile}, {about.precision}{tuned} on {about.device}, {len(cases)} cases"
    )
    worker = CaseWorker(run, engine, ReadFiles(path for files in cases for path in _inputs(files)))
    tables = ResultTables(options.csv, options.objects)
    try:
        with screen.bar:
            failed = CaseRun(cases, worker, _Watch(screen, tables)).run()
    finally:
        tables.close()
        screen.summary()
    for fault in tables.faults:
        screen.complain(fault)
    return failed + len(tables.faults)


def _inputs(files: CaseFiles) -> list[Path]:
    beside = files.case.boxes_from
    return [Path(files.case.path), *([Path(beside)] if beside is not None else [])]


class _Watch:
    """The screen, and a row in the tables as each case ends."""

    def __init__(self, screen: RunScreen, tables: ResultTables) -> None:
        self._tables = tables
        self.note, self.progress = screen.note, screen.progress
        self._finished = screen.finished

    def finished(self, end: CaseResult) -> None:
        """A case has ended."""
        self._finished(end)
        self._tables.add(end)


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _check_places(options: TableOptions, cases: list[CaseFiles], bundle: Path) -> None:
    inputs = [path for files in cases for path in _inputs(files)]
    answers = Path(options.run.answers)
    previews = None if options.run.previews is None else Path(options.run.previews)
    check_output_folder("--output", answers, [*inputs, bundle])
    check_output_folder("--preview-folder", previews, [*inputs, bundle, answers])
    for folder in (answers, previews):
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidArgument(
                    f"output: got {folder}, expected a folder that can be made; {error.strerror or error}"
                ) from error
    tables = [path for path in (options.csv, options.objects) if path is not None]
    # A table that is not there yet is no file that is read; to look at every slice of a large archive takes its time.
    read = [path for place in inputs for path in source_files(place)] if any(map(_there, tables)) else []
    written = [path for files in cases for path in (files.answer, files.record, files.preview)]
    check_outputs({"--csv": options.csv, "--objects": options.objects}, [options.source, bundle, *read, *written])
