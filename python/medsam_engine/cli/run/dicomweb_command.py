# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run --dicomweb`: series of a server, from the options to how the cases end."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medsam_engine import Engine
from medsam_engine.base.addresses import is_url
from medsam_engine.cli.prompt_options import parse_boxes
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cli.run.table_command import ListedCases, TableOptions, run_table
from medsam_engine.cohort.case_sources import read_cases
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.dicomweb.access import Access, read_access
from medsam_engine.dicomweb.series_worker import SeriesCase, SeriesWorker, Served, series_case
from medsam_engine.dicomweb.server import DicomWebServer, check_uid
from medsam_engine.dicomweb.study import OBJECTS, chosen_series, one_series, series_with_objects
from medsam_engine.dicomweb.transport import sent_in_clear
from medsam_engine.errors import InvalidArgument


@dataclass(frozen=True)
class DicomWebOptions:
    """What was asked for on the command line; the options as `medsam-engine run --help` has them."""

    url: str
    table: Path | None
    study: str | None
    series: list[str]
    modality: str | None
    box: list[str]
    box_mm: list[str]
    names: list[str]
    boxes_from: str | None
    store: bool
    auth: Path | None
    authorities: Path | None
    certificate: Path | None

    def check(self) -> None:
        """Says before anything is asked that the options do not go together. InvalidArgument."""
        prompts = {"--box": self.box, "--box-mm": self.box_mm, "--boxes-from": self.boxes_from}
        given = [name for name, value in prompts.items() if value]
        if self.table is not None:
            extra = [
                *given,
                *[name for name, value in {"--series": self.series, "--name": self.names}.items() if value],
            ]
            if extra:
                raise InvalidArgument(f"{extra[0]}: got it with a table, expected its rows to say so; leave one out")
            return
        self.study_without_table()
        if len(given) != 1:
            got = " and ".join(given) or "no boxes"
            raise InvalidArgument(f"prompt: got {got}, expected one of --box, --box-mm, --boxes-from, or a table")
        if self.names and not (self.box or self.box_mm):
            raise InvalidArgument(
                "--name: got it without --box or --box-mm, expected the file's own names; leave it out"
            )

    def study_without_table(self) -> str:
        """The study whose series are chosen where no table names them. InvalidArgument: none was given."""
        if self.study is None:
            raise InvalidArgument("--dicomweb: got neither --study nor a table, expected one of them; see --help")
        return self.study


def run_dicomweb(
    options: DicomWebOptions,
    table: TableOptions,
    bundle: Path,
    make_engine: Callable[[], Engine],
    screen: RunScreen,
) -> int:
    """Segments series of a server and says how they end; returns how many failed.

    Nothing is written before the server has told which series there are.

    Raises:
        InvalidArgument: an option or the table is wrong, or the server has no such series.
        Unsupported: the server cannot be reached; the extra [dicomweb] is not installed.
        Error: the model cannot be loaded.
        SystemExit: as run_table.
    """
    options.check()
    run = table.run
    if is_url(run.answers):
        raise InvalidArgument(f"output: got {run.answers}, expected a folder on this machine with --dicomweb")
    if options.store and (run.template is not None or run.output_format not in (None, "dcm")):
        raise InvalidArgument(
            "--store: got it with another --format or a --template, expected a DICOM SEG; leave it out"
        )
    # The modality of a run over files says what they are; here it chooses among series that say it themselves.
    run = replace(run, modality=None, output_format=run.output_format or (None if run.template else "dcm"))
    access = read_access(options.auth, options.authorities, options.certificate)
    notes: list[str] = []
    cases = _cases(options, access, notes)
    uncounted = sum(one.series.instances is None for one in cases)
    if uncounted:
        notes.append(
            f"{options.url} does not say how many instances {uncounted} of {len(cases)} series have: one that is still "
            "arriving is only noticed if it grows while it is fetched"
        )
    if sent_in_clear(options.url):
        with_it = " and the access to it" if access.secret else ""
        notes.append(f"{options.url} is not encrypted: images{with_it} can be read on the way; use https")
    served = Served({one.series.uid: one for one in cases}, options.url, access, options.store)
    listed = ListedCases(
        [one.case for one in cases],
        notes,
        partial(SeriesWorker, served),
        [path for path in (options.table, options.auth) if path is not None],
    )
    return run_table(replace(table, run=run), listed, bundle, make_engine, screen)


def _cases(options: DicomWebOptions, access: Access, notes: list[str]) -> list[SeriesCase]:
    server = DicomWebServer(options.url, access)
    if options.table is not None:
        return _of_table(options, options.table, server, notes)
    found = server.series_of_study(options.study_without_table())
    chosen = chosen_series(found, options.series, options.modality)
    if options.boxes_from is not None:
        if options.boxes_from.upper() not in OBJECTS and Path(options.boxes_from).exists():
            series = one_series(chosen)
            return [series_case(server, series, CaseSpec.of(series.uid, boxes_from=options.boxes_from), None)]
        objects = series_with_objects(found, options.boxes_from)
        return [series_case(server, series, CaseSpec.of(series.uid), objects) for series in chosen]
    series = one_series(chosen)
    case = CaseSpec.of(
        series.uid,
        parse_boxes(options.box),
        boxes_mm=parse_boxes(options.box_mm, "--box-mm"),
        names=options.names,
    )
    return [series_case(server, series, case, None)]


def _of_table(options: DicomWebOptions, table: Path, server: DicomWebServer, notes: list[str]) -> list[SeriesCase]:
    listed = read_cases(table)
    notes.extend(listed.notes)
    for case in listed.cases:
        check_uid(f"{case.where}: file", case.file.strip())
    if options.study is None:
        entries = {case.file.strip(): server.find_series(case.file.strip()) for case in listed.cases}
    else:
        entries = {entry.uid: entry for entry in server.series_of_study(options.study)}
    made = []
    for case in listed.cases:
        # One by one, so that an error names the line.
        (series,) = chosen_series(list(entries.values()), [case.file.strip()], options.modality)
        made.append(series_case(server, series, case, None))
    return made
