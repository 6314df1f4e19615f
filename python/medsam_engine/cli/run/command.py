# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run`: segments the files of a table, a list or a folder, or a folder of challenge cases."""

from dataclasses import replace

import typer

from medsam_engine import find_bundle
from medsam_engine.cli.input_options import MaxBytes, ModalityOfCases, SkipUnreadable, WindowOfCases
from medsam_engine.cli.json_output import Json, engine_object, print_json
from medsam_engine.cli.model_options import (
    Bundle,
    CacheFolder,
    Device,
    ModelOptions,
    Precision,
    Profile,
    Threads,
    TrustCertificates,
    certificate_in_force,
)
from medsam_engine.cli.own_process import OWN_PROCESS
from medsam_engine.cli.run import answer_options, case_options, dicomweb_options, fault_options, ray_options
from medsam_engine.cli.run.case_options import Places
from medsam_engine.cli.run.dicomweb_command import DicomWebOptions, run_dicomweb
from medsam_engine.cli.run.folder_command import FolderOptions, run_folder
from medsam_engine.cli.run.given_options import refuse_given
from medsam_engine.cli.run.json_cases import ended_content
from medsam_engine.cli.run.model import Model, run_options_of
from medsam_engine.cli.run.screen import RunScreen, chosen_screen
from medsam_engine.cli.run.table_command import TableOptions, listed_cases, run_table
from medsam_engine.cohort.case_folder import has_prompts_beside
from medsam_engine.cohort.selection import Shard
from medsam_engine.cohort.supervision import CaseLimits
from medsam_engine.errors import InvalidArgument

SOME_FAILED = 1
# Parameters of run_cases that do not go with everything.
_ONLY_SERVER = (
    *("study", "series", "box", "box_mm", "name", "boxes_from"),
    *("store", "dicomweb_auth", "dicomweb_ca", "dicomweb_cert"),
)
_ONLY_TABLE = (
    *("output_format", "template", "if_different", "shard", "limit", "retry_failed", "tries", "case_timeout"),
    *("case_memory", "dry_run", "reproducible", "window", "skip_unreadable", "objects", "preview_folder", "ray"),
)
_ONLY_HERE = ("limit", "case_timeout", "case_memory")


def run_cases(
    context: typer.Context,
    cases: case_options.Cases = None,
    answers: case_options.Answers = None,
    cases_option: case_options.CasesOption = None,
    input_folder: case_options.InputFolder = None,
    output_folder: case_options.OutputFolder = None,
    shard: case_options.PartOfCases = None,
    limit: case_options.MostCases = None,
    resume: case_options.Resume = False,  # noqa: ARG001 (every run does)
    dry_run: case_options.DryRun = False,
    output_format: answer_options.OutputFormat = None,
    template: answer_options.Template = None,
    if_different: answer_options.IfDifferent = None,
    overwrite: answer_options.Overwrite = False,
    reproducible: answer_options.Reproducible = False,
    objects: answer_options.Objects = None,
    preview_folder: answer_options.PreviewFolder = None,
    csv: answer_options.Csv = None,
    times: answer_options.Times = False,
    progress: answer_options.Progress = "bar",
    quiet: answer_options.Quiet = False,
    as_json: Json = False,
    window: WindowOfCases = None,
    modality: ModalityOfCases = None,
    skip_unreadable: SkipUnreadable = False,
    max_bytes: MaxBytes = None,
    bundle: Bundle = None,
    profile: Profile = "clinical",
    precision: Precision = None,
    trust_certificates: TrustCertificates = False,
    device: Device = "CPU",
    threads: Threads = 0,
    cache_dir: CacheFolder = None,
    retry_failed: fault_options.RetryFailed = False,
    tries: fault_options.Tries = None,
    case_timeout: fault_options.CaseTimeout = None,
    case_memory: fault_options.CaseMemory = None,
    ray: ray_options.Ray = None,
    actors: ray_options.Actors = "auto",
    dicomweb: dicomweb_options.Url = None,
    study: dicomweb_options.Study = None,
    series: dicomweb_options.SeriesUids = None,
    box: dicomweb_options.BoxTexts = None,
    box_mm: dicomweb_options.BoxTextsMm = None,
    name: dicomweb_options.BoxNames = None,
    boxes_from: dicomweb_options.BoxesFrom = None,
    store: dicomweb_options.Store = False,
    dicomweb_auth: dicomweb_options.Auth = None,
    dicomweb_ca: dicomweb_options.Authorities = None,
    dicomweb_cert: dicomweb_options.Certificate = None,
) -> None:
    """Segment the files of a table, or every NPZ case of a folder: medsam-engine run cases.csv answers.

    Finished cases are skipped. A case that fails is reported, the others are processed, and the exit status is 1.
    """
    if dicomweb is None:
        refuse_given(context, _ONLY_SERVER, "no --dicomweb", "both")
    places = Places.of((cases, answers), (cases_option, input_folder), output_folder, study)
    chosen = ModelOptions(bundle, profile, precision, trust_certificates, device, threads, cache_dir)
    table = TableOptions(
        run=replace(
            run_options_of(chosen, places.answers),
            output_format=output_format,
            template=template,
            modality=modality,
            window=window,
            max_bytes=max_bytes,
            skip_unreadable=skip_unreadable,
            overwrite=overwrite,
            if_different=if_different or "refuse",
            previews=None if preview_folder is None else str(preview_folder),
            tries=tries or 2,
            retry_failed=retry_failed,
            reproducible=reproducible,
        ),
        csv=csv,
        objects=objects,
        shard=None if shard is None else Shard.of(shard),
        limit=limit,
        dry_run=dry_run,
        limits=CaseLimits(case_timeout, case_memory),
        supervise=context.obj is OWN_PROCESS,
        ray=ray_options.ray_options(ray, actors),
    )
    screen = chosen_screen(progress, quiet)
    model = Model(table.run)
    if dicomweb is not None:
        refuse_given(context, ("times",), "a table of cases", "a folder of NPZ cases")
        refuse_given(context, ("input_folder",), "--dicomweb", "a table of cases or --study")
        refuse_given(context, ("ray",), "--dicomweb", "a table of files")
        access = (dicomweb_auth, dicomweb_ca, dicomweb_cert)
        prompts = (box or [], box_mm or [], name or [], boxes_from)
        server = DicomWebOptions(dicomweb, places.cases, study, series or [], modality, *prompts, store, *access)
        failed = run_dicomweb(server, table, find_bundle(bundle), lambda: model.load(screen), screen)
    else:
        failed = _run_files(context, places, table, model, screen, times)
    if as_json:
        about = None if model.engine is None else model.engine.info
        ran = {} if about is None else engine_object(about, certificate_in_force(about))
        from_where = {"input": places.cases or study, "answers": places.answers}
        print_json("run", {**from_where, **ran, **ended_content(screen.ended)})
    if failed:
        raise typer.Exit(SOME_FAILED)


def _run_files(
    context: typer.Context, places: Places, table: TableOptions, model: Model, screen: RunScreen, times: bool
) -> int:
    """Runs a table or a folder of cases; returns how many failed, or whether any did in a folder of NPZ cases."""
    source = places.cases
    if source is None:
        raise InvalidArgument("cases: got none, expected CASES, a table or a folder; see --help")
    if places.by_input or (source.is_dir() and not has_prompts_beside(source)):
        refuse_given(context, _ONLY_TABLE, "a folder of NPZ cases", "a table of cases")
        return int(not run_folder(FolderOptions.of(source, table, times), model, screen))
    refuse_given(context, ("times",), "a table of cases", "a folder of NPZ cases")
    if table.ray is not None:
        refuse_given(context, _ONLY_HERE, "--ray", "a run on this machine")
    table.run.check()
    return run_table(table, listed_cases(source), find_bundle(model.options.bundle), lambda: model.load(screen), screen)
