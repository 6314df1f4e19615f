# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run`: segments the files of a table, a list or a folder, or a folder of challenge cases."""

from dataclasses import replace

import typer

from medsam_engine.cli.input_options import MaxBytes, ModalityOfCases, SkipUnreadable, WindowOfCases
from medsam_engine.cli.json_output import Json, print_json
from medsam_engine.cli.model_options import (
    Bundle,
    CacheFolder,
    Device,
    ModelOptions,
    Precision,
    Profile,
    Threads,
    TrustCertificates,
)
from medsam_engine.cli.own_process import OWN_PROCESS
from medsam_engine.cli.run import answer_options, case_options, dicomweb_options, fault_options, ray_options
from medsam_engine.cli.run.case_options import Places
from medsam_engine.cli.run.dicomweb_command import DicomWebOptions
from medsam_engine.cli.run.model import run_options_of
from medsam_engine.cli.run.request import RunRequest
from medsam_engine.cli.run.screen import chosen_screen
from medsam_engine.cli.run.table_command import TableOptions
from medsam_engine.cohort.selection import Shard
from medsam_engine.cohort.supervision import CaseLimits, can_supervise, check_limits

SOME_FAILED = 1


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
    places = Places.of((cases, answers), (cases_option, input_folder), output_folder, study)
    chosen = ModelOptions(bundle, profile, precision, trust_certificates, device, threads, cache_dir)
    options = replace(
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
    )
    limits = CaseLimits(case_timeout, case_memory)
    check_limits(limits)
    table = TableOptions(
        options,
        csv=csv,
        objects=objects,
        shard=None if shard is None else Shard.of(shard),
        limit=limit,
        dry_run=dry_run,
        limits=limits,
        supervise=context.obj is OWN_PROCESS and can_supervise(),
        ray=ray_options.ray_options(ray, actors),
    )
    prompts = (box or [], box_mm or [], name or [], boxes_from)
    access = (dicomweb_auth, dicomweb_ca, dicomweb_cert)
    server = None
    if dicomweb is not None:
        server = DicomWebOptions(dicomweb, places.cases, study, series or [], modality, *prompts, store, *access)
    request = RunRequest(context, places, table, server, times)
    screen = chosen_screen(progress, quiet)
    failed = request.run(screen)
    if as_json:
        print_json("run", request.content(screen))
    if failed:
        raise typer.Exit(SOME_FAILED)
