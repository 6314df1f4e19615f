# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` with a table of cases, from its options to its exit status."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medsam_engine import Engine
from medsam_engine.base.addresses import is_url
from medsam_engine.base.output_check import ReadFiles, check_outputs
from medsam_engine.cli.run.ray_command import run_on_ray
from medsam_engine.cli.run.result_tables import ResultTables
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_result import FAILED, SKIPPED, CaseResult
from medsam_engine.cohort.case_run import CaseRun
from medsam_engine.cohort.case_sources import read_cases
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.distinct_answers import distinct_files
from medsam_engine.cohort.ledger import Standing
from medsam_engine.cohort.ray_actor import RayCluster
from medsam_engine.cohort.ray_options import RayOptions
from medsam_engine.cohort.ray_run import RayWork
from medsam_engine.cohort.run_inputs import check_folders, inputs_of
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.selection import Shard
from medsam_engine.cohort.supervision import CaseLimits, RunReports, supervised
from medsam_engine.cohort.worker import CaseWorker
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.source_files import source_files


@dataclass(frozen=True)
class TableOptions:
    """What was asked for on the command line beside the options of the run; None = not asked for.

    Attributes:
        run: the options that hold for every case.
        csv, objects: tables to write.
        shard: the part of the cases to do.
        limit: the most cases to do.
        dry_run: only say what would be done.
        limits: what a case may take.
        supervise: in a process of its own.
        ray: the cluster that is to do the cases; None = this process does them.
    """

    run: RunOptions
    csv: Path | None
    objects: Path | None
    shard: Shard | None = None
    limit: int | None = None
    dry_run: bool = False
    limits: CaseLimits = field(default_factory=CaseLimits)
    supervise: bool = False
    ray: RayOptions | None = None


@dataclass(frozen=True)
class ListedCases:
    """Cases of a table, or of a server.

    Attributes:
        cases: at least one.
        notes: to be told.
        make_worker: as CaseWorker; called with the same arguments.
        read: files that no output may be.
    """

    cases: list[CaseSpec]
    notes: list[str]
    make_worker: Callable[..., CaseWorker]
    read: list[Path]


def listed_cases(source: Path) -> ListedCases:
    """The cases of a table, a list or a folder. Raises as read_cases."""
    table = read_cases(source)
    return ListedCases(table.cases, table.notes, CaseWorker, [source])


def run_table(
    options: TableOptions,
    listed: ListedCases,
    bundle: Path,
    make_engine: Callable[[], Engine],
    screen: RunScreen,
) -> int:
    """Runs cases and says how they end; returns how many failed, a table that was not written among them.

    Nothing is written before every place has been looked at. The parent of a run that has a process of its own ends
    here, with its status.

    Raises:
        InvalidArgument: an option or a place is not usable.
        Error: the model cannot be loaded.
    """
    run = options.run
    worker = CaseWorker(run)
    everything = distinct_files(worker.files(case) for case in listed.cases)
    _check_places(options, everything, [*listed.read, bundle])
    cases = everything if options.shard is None else [f for f in everything if options.shard.holds(f.case)]
    for note in listed.notes:
        screen.note(f"note: {note}")
    standings = _standings(cases, worker)
    cases = _suspects_last(cases, standings, run.tries)
    if options.ray is not None and not options.dry_run:
        return _run_on_ray(options, options.ray, cases, worker, screen)
    reports = RunReports()
    if options.supervise and not options.dry_run:
        reports = _in_own_process(options, cases, worker)
    try:
        return _run(options, cases, listed.make_worker, make_engine, screen, reports, _failed_before(standings))
    finally:
        reports.over()


def _in_own_process(options: TableOptions, cases: list[CaseFiles], worker: CaseWorker) -> RunReports:
    by_name = {files.case.file: files for files in cases}

    def crashed(name: str, reason: str, times: int) -> CaseResult | None:
        files = by_name[name]
        standing = worker.ledger.fail(files.record, name, reason)
        # The ledger begins anew when the case looks changed, as one does whose image is written to all the time.
        if not standing.quarantined(options.run.tries) and times < options.run.tries:
            return None
        end = CaseResult(name, worker.place(files), FAILED, len(files.case.objects), quarantined=True)
        end.message = f"quarantined after {max(standing.failed, times)} tries: {reason}"
        return end

    outcome = supervised(options.limits, crashed, lambda name: worker.ledger.leave(by_name[name].record))
    if isinstance(outcome, int):
        os._exit(outcome)  # the run has told and written all; to take this process down in order costs 0.2 s
    return outcome


def _run(
    options: TableOptions,
    cases: list[CaseFiles],
    make_worker: Callable[..., CaseWorker],
    make_engine: Callable[[], Engine],
    screen: RunScreen,
    reports: RunReports,
    failed: set[str],
) -> int:
    run = options.run
    engine = make_engine()
    about = engine.info
    tuned = " (tuned)" if about.tuned else ""
    screen.note(
        f"{about.family}, profile {about.profile}, {about.precision}{tuned} on {about.device}, {len(cases)} cases"
    )
    read = ReadFiles(inputs_of(files.case for files in cases))
    worker = make_worker(run, engine, read, begun=reports.begun, tried=reports.tried)
    for note in worker.notes:
        screen.note(note)
    cases = [worker.files(files.case) for files in cases]  # an answer for a URL lies with its worker until it is sent
    if options.dry_run:
        return screen.plan([worker.plan(files) for files in cases])
    tables = ResultTables(options.csv, options.objects)
    watch = _Watch(screen, tables, reports)
    watch.recall()
    ended = {end.name for end in (*reports.earlier, *reports.news)}
    left = [files for files in cases if files.case.file not in ended]
    limit = None if options.limit is None else options.limit - sum(end.status != SKIPPED for end in screen.results)
    try:
        with screen.bar:
            CaseRun(left, worker, watch, alone=reports.alone | failed, limit=limit).run()
    finally:
        tables.close()
        screen.summary()
    for fault in tables.faults:
        screen.complain(fault)
    return sum(not end.whole for end in screen.results) + len(tables.faults)


def _run_on_ray(
    options: TableOptions, ray: RayOptions, cases: list[CaseFiles], worker: CaseWorker, screen: RunScreen
) -> int:
    reads = ReadFiles(inputs_of(files.case for files in cases))
    with RayCluster(ray) as cluster:
        tables = ResultTables(options.csv, options.objects)
        try:
            with screen.bar:
                run_on_ray(cluster, RayWork(cases, worker, ray, reads), screen, tables)
        finally:
            tables.close()
            screen.summary()
    for fault in tables.faults:
        screen.complain(fault)
    return sum(not end.whole for end in screen.results) + len(tables.faults)


def _standings(cases: list[CaseFiles], worker: CaseWorker) -> dict[str, Standing]:
    """What became of cases in earlier runs that did not end well, by name."""
    if not worker.ledger.begun_before:
        return {}
    standings = ((files.case.file, worker.ledger.standing(files.record)) for files in cases)
    return {name: standing for name, standing in standings if standing is not None}


def _suspects_last(cases: list[CaseFiles], standings: Mapping[str, Standing], tries: int) -> list[CaseFiles]:
    """Cases at which earlier runs were killed as a whole come last: if one of them is why, the others are done."""

    def is_suspect(files: CaseFiles) -> bool:
        standing = standings.get(files.case.file)
        return standing is not None and standing.killed + standing.at_work >= tries

    return sorted(cases, key=is_suspect)


def _failed_before(standings: Mapping[str, Standing]) -> set[str]:
    """Cases to be run alone: each may have ended its process, or have been beside one that did."""
    return {name for name, standing in standings.items() if standing.failed}


class _Watch:
    """The screen, a row in the tables as each case ends, and the parent of this process."""

    def __init__(self, screen: RunScreen, tables: ResultTables, reports: RunReports) -> None:
        self._screen, self._tables, self._reports = screen, tables, reports
        self._earlier = len(reports.earlier) + len(reports.news)
        self.note = screen.note

    def recall(self) -> None:
        """Tells how cases ended in earlier processes of this run."""
        for end in self._reports.earlier:
            self._screen.finished(end, again=True)
            self._tables.add(end)
        for note in self._reports.notes:
            self._screen.note(note)
        for end in self._reports.news:
            self.finished(end)

    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None:
        """As RunWatch."""
        if not steps:
            self._reports.turn(name)
        self._screen.progress(index + self._earlier, count + self._earlier, name, step, steps)

    def finished(self, end: CaseResult) -> None:
        """A case has ended."""
        self._reports.ended(end)
        self._screen.finished(end)
        self._tables.add(end)


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _check_places(options: TableOptions, cases: list[CaseFiles], beside: list[Path]) -> None:
    run = options.run
    inputs = inputs_of(files.case for files in cases)
    check_folders(run, [files.case for files in cases], beside)
    local = [place for place in (run.answers, run.previews) if place is not None and not is_url(place)]
    for folder in map(Path, local):
        if not options.dry_run:
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
    check_outputs({"--csv": options.csv, "--objects": options.objects}, [*beside, *read, *written])
