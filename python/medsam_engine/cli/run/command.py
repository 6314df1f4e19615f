# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run`: segments the files of a table, or a folder of challenge cases.

A folder is processed by the same C++ code as in the program medsam-npz.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from medsam_engine import Engine, FolderReport, FolderRun, ModelError, find_bundle
from medsam_engine.base.output_check import check_outputs
from medsam_engine.cli.input_options import MaxBytes
from medsam_engine.cli.json_output import Json, engine_object, print_json
from medsam_engine.cli.model_options import (
    Bundle,
    Device,
    Precision,
    Profile,
    Threads,
    TrustCertificates,
    certificate_in_force,
    chosen_precision,
    precision_note,
)
from medsam_engine.cli.run.json_cases import ended_content
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cli.run.table_command import TableOptions, run_table
from medsam_engine.cohort.answer_paths import RECORD_SUFFIX
from medsam_engine.errors import InvalidArgument

SOME_FAILED = 1


def _first_case(report: FolderReport) -> list[tuple[str, float]]:
    first = next((case for case in report.cases if case.status == "done"), None)
    if first is None:
        return []
    return [
        ("read first case (while the model loads)", first.read_s),
        ("segment first case", first.segment_s),
        ("write first case (while the next is segmented)", first.write_s),
    ]


@dataclass(frozen=True)
class _FolderOptions:
    """The options for a folder of NPZ cases."""

    cases: Path
    answers: Path
    overwrite: bool
    csv: Path | None
    modality: str | None
    max_bytes: int | None
    times: bool


@dataclass
class _Model:
    """The options of the model, and its engine once it is loaded."""

    bundle: Path | None
    profile: str
    precision: str
    trust_certificates: bool
    device: str
    threads: int
    cache_dir: Path | None
    engine: Engine | None = None

    def load(self, screen: RunScreen) -> Engine:
        """Loads the model and prints a line about its precision. Error if it cannot be loaded."""
        self.engine = Engine(
            find_bundle(self.bundle),
            device=self.device,
            precision=self.precision,
            trust_bundle_certificates=self.trust_certificates,
            threads=self.threads,
            profile=self.profile,
            cache_dir=self.cache_dir,
        )
        screen.note(precision_note(self.engine.info, self.precision))
        return self.engine


def _run_folder(options: _FolderOptions, model: _Model, screen: RunScreen) -> bool:
    """Returns whether all cases were done and the table of times was written."""
    started = time.perf_counter()
    try:
        also_read = [find_bundle(model.bundle)]
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


def _refuse_answers_of_a_table(options: _FolderOptions) -> None:
    """An answer with a record beside it was made from the boxes of a table: not what is to be skipped as finished."""
    for case in sorted(options.cases.glob("*.npz")):
        record = options.answers / (case.name + RECORD_SUFFIX)
        if record.exists() and (options.answers / case.name).exists():
            raise InvalidArgument(
                f"output: got {record}, which a table of cases left beside its answer, expected answers of a folder of "
                "NPZ cases only; choose another folder, or give --overwrite"
            )


def run_cases(
    cases: Annotated[
        Path | None,
        typer.Argument(
            metavar="CASES",
            help="A CSV table with one row per object (file,name,x0,y0,z0,x1,y1,z1; see docs/folders.md), or a folder "
            "of NPZ cases.",
            show_default=False,
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Argument(
            metavar="ANSWERS", help="Folder for the answers; created if it does not exist.", show_default=False
        ),
    ] = None,
    cases_option: Annotated[Path | None, typer.Option("--cases", help="The same as CASES.")] = None,
    input_folder: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            help="Folder of NPZ cases; 2DBox_* are images with boxes (N, 4), 3DBox_* volumes with boxes (N, 6).",
        ),
    ] = None,
    output_folder: Annotated[Path | None, typer.Option("--output", "-o", help="The same as ANSWERS.")] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of the answers of a table: nii.gz, nii, nrrd, mha, png, dcm (DICOM SEG) or npz. By default "
            "png for pictures, npz for NPZ files and nii.gz for all others.",
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            help="Window for rows of a table without one, as for `segment`. The default depends on the modality."
        ),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Skip slices of a series that cannot be read, and list them."),
    ] = False,
    objects: Annotated[
        Path | None, typer.Option(help="CSV file to write, with the objects of a table's cases and their sizes.")
    ] = None,
    preview_folder: Annotated[
        Path | None,
        typer.Option(help="Folder for PNG pictures of the results of a table's cases; created if it does not exist."),
    ] = None,
    bundle: Bundle = None,
    profile: Profile = "clinical",
    precision: Precision = None,
    trust_certificates: TrustCertificates = False,
    device: Device = "CPU",
    threads: Threads = 0,
    max_bytes: MaxBytes = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Segment finished cases again.")] = False,
    csv: Annotated[Path | None, typer.Option(help="CSV file to write, with the times of each case.")] = None,
    modality: Annotated[
        str | None,
        typer.Option(
            help="CT, MR, PET, US, XRay, ..., for cases whose row has none; by default, that of the file or its name."
        ),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(help='Folder for compiled models, or "none"; by default the user\'s cache folder.'),
    ] = None,
    times: Annotated[bool, typer.Option("--times", help="Print how long each phase of the start took.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Json = False,
) -> None:
    """Segment the files of a table, or every NPZ case of a folder: medsam-engine run cases.csv answers.

    Finished cases are skipped. A case that fails is reported, the others are processed, and the exit status is 1.
    """
    source, target = _places(cases, cases_option, input_folder, answers, output_folder)
    screen = RunScreen(quiet)

    model = _Model(
        bundle, profile, chosen_precision(precision, profile), trust_certificates, device, threads, cache_dir
    )

    only_table = {
        "--format": output_format,
        "--window": window,
        "--skip-unreadable": skip_unreadable,
        "--objects": objects,
        "--preview-folder": preview_folder,
    }
    if input_folder is not None or source.is_dir():
        _refuse([name for name, value in only_table.items() if value], "a folder of NPZ cases", "a table of cases")
        folder = _FolderOptions(source, target, overwrite, csv, modality, max_bytes, times)
        whole = _run_folder(folder, model, screen)
    else:
        _refuse(["--times"] if times else [], "a table of cases", "a folder of NPZ cases")
        options = TableOptions(
            table=source,
            answers=target,
            output_format=output_format,
            window=window,
            modality=modality,
            skip_unreadable=skip_unreadable,
            max_bytes=max_bytes,
            overwrite=overwrite,
            csv=csv,
            objects=objects,
            previews=preview_folder,
        )
        whole = run_table(options, find_bundle(bundle), lambda: model.load(screen), screen) == 0
    if as_json:
        about = None if model.engine is None else model.engine.info
        ran = {} if about is None else engine_object(about, certificate_in_force(about))
        print_json("run", {"input": source, "answers": target, **ran, **ended_content(screen.ended)})
    if not whole:
        raise typer.Exit(SOME_FAILED)


def _places(
    cases: Path | None, cases_option: Path | None, folder: Path | None, answers: Path | None, output: Path | None
) -> tuple[Path, Path]:
    """The cases and the folder for the answers, from the arguments or from the options that replace them."""
    if answers is None and cases is not None and (cases_option or folder) and output is None:
        cases, answers = None, cases  # run --cases cases.csv ANSWERS
    given = [path for path in (cases, cases_option, folder) if path is not None]
    if len(given) != 1:
        raise InvalidArgument(
            f"cases: got {len(given)} inputs, expected one: CASES (--cases), a table or a folder, or -i FOLDER"
        )
    targets = [path for path in (answers, output) if path is not None]
    if len(targets) != 1:
        raise InvalidArgument(
            f"output: got {len(targets)} folders of answers, expected one: ANSWERS or -o FOLDER; see --help"
        )
    return given[0], targets[0]


def _refuse(options: list[str], given: str, wanted: str) -> None:
    if options:
        raise InvalidArgument(f"{options[0]}: got it with {given}, expected {wanted}; leave it out")
