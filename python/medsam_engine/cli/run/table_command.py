# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` with a table of cases, from its options to its exit status."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medsam_engine import Engine, EngineInfo, __version__
from medsam_engine.base.output_check import ReadFiles, check_output_folder, check_outputs
from medsam_engine.cli.run.result_tables import ResultTables
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cohort.answer_paths import CaseFiles, case_files, check_format
from medsam_engine.cohort.case_end import CaseEnd
from medsam_engine.cohort.case_run import CaseRun
from medsam_engine.cohort.case_table import read_case_table
from medsam_engine.cohort.segment_case import RunOptions
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.source_files import source_files
from medsam_engine.windows import check_window


@dataclass(frozen=True)
class TableOptions:
    """What was asked for on the command line; the options as `medsam-engine run --help` has them."""

    table: Path
    answers: Path
    output_format: str | None
    window: str | None
    modality: str | None
    skip_unreadable: bool
    max_bytes: int | None
    overwrite: bool
    csv: Path | None
    objects: Path | None
    previews: Path | None


def run_table(options: TableOptions, bundle: Path, make_engine: Callable[[], Engine], screen: RunScreen) -> int:
    """Runs a table's cases and says how they end; returns how many failed, a table that was not written among them.

    Nothing is written before the whole table has been read and every place looked at.

    Raises:
        InvalidArgument: the table or a place is not usable.
        Error: the model cannot be loaded.
    """
    check_format(options.output_format)
    check_window(options.window)
    table = read_case_table(options.table)
    cases = case_files(table.cases, options.answers, options.output_format, options.previews)
    _check_places(options, cases, bundle)
    if table.unused_columns:
        screen.note(f"note: columns that are not used: {', '.join(table.unused_columns)}")
    engine = make_engine()
    about = engine.info
    tuned = " (tuned)" if about.tuned else ""
    screen.note(
        f"{about.family}, profile {about.profile}, {about.precision}{tuned} on {about.device}, {len(cases)} cases"
    )
    run_options = RunOptions(
        options.table.name,
        options.modality,
        options.window,
        options.max_bytes,
        options.skip_unreadable,
        options.overwrite,
        _decides_on_masks(about),
        ReadFiles(files.case.path for files in cases),
    )
    tables = ResultTables(options.csv, options.objects)
    try:
        with screen.bar:
            failed = CaseRun(cases, engine, run_options, _Watch(screen, tables)).run()
    finally:
        tables.close()
        screen.summary()
    for fault in tables.faults:
        screen.complain(fault)
    return failed + len(tables.faults)


class _Watch:
    """The screen, and a row in the tables as each case ends."""

    def __init__(self, screen: RunScreen, tables: ResultTables) -> None:
        self._tables = tables
        self.note, self.progress = screen.note, screen.progress
        self._finished = screen.finished

    def finished(self, end: CaseEnd) -> None:
        """A case has ended."""
        self._finished(end)
        self._tables.add(end)


def _decides_on_masks(about: EngineInfo) -> dict[str, str]:
    return {
        "engine": __version__,
        "model": about.model_hash,
        "fingerprint": about.fingerprint,
        "profile": about.profile,
        "precision": f"{about.encoder_precision}/{about.decoder_precision}",
        "device": about.device,
        "backend": about.backend,
    }


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _check_places(options: TableOptions, cases: list[CaseFiles], bundle: Path) -> None:
    inputs = [files.case.path for files in cases]
    check_output_folder("--output", options.answers, [*inputs, bundle])
    check_output_folder("--preview-folder", options.previews, [*inputs, bundle, options.answers])
    for folder in (options.answers, options.previews):
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidArgument(
                    f"output: got {folder}, expected a folder that can be made; {error.strerror or error}"
                ) from error
    tables = [path for path in (options.csv, options.objects) if path is not None]
    # A table that is not there yet is no file that is read; to look at every slice of a large archive takes its time.
    read = [path for files in cases for path in source_files(files.case.path)] if any(map(_there, tables)) else []
    written = [path for files in cases for path in (files.answer, files.record, files.preview)]
    check_outputs({"--csv": options.csv, "--objects": options.objects}, [options.table, bundle, *read, *written])
