# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run`: segments the files of a table, a list or a folder, or a folder of challenge cases."""

from pathlib import Path
from typing import Annotated

import typer

from medsam_engine import find_bundle
from medsam_engine.base.addresses import is_url
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
)
from medsam_engine.cli.own_process import OWN_PROCESS
from medsam_engine.cli.run import dicomweb_options
from medsam_engine.cli.run.dicomweb_command import DicomWebOptions, run_dicomweb
from medsam_engine.cli.run.folder_command import FolderOptions, run_folder
from medsam_engine.cli.run.json_cases import ended_content
from medsam_engine.cli.run.model import Model
from medsam_engine.cli.run.ray_command import Actors, Ray, ray_options
from medsam_engine.cli.run.screen import JsonScreen, RunScreen
from medsam_engine.cli.run.table_command import TableOptions, run_table
from medsam_engine.cohort.case_folder import has_prompts_beside
from medsam_engine.cohort.run_options import RunOptions, chosen_precision
from medsam_engine.cohort.selection import Shard
from medsam_engine.cohort.supervision import CaseLimits
from medsam_engine.errors import InvalidArgument

SOME_FAILED = 1
_FAULTS = "Cases that fail"


def run_cases(
    context: typer.Context,
    cases: Annotated[
        str | None,
        typer.Argument(
            metavar="CASES",
            help="A table with one row per object (file,name,x0,y0,z0,x1,y1,z1; see docs/many_cases.md) in CSV, JSON "
            "Lines or Parquet, a folder of scans with files of boxes beside them, or a folder of NPZ cases.",
            show_default=False,
        ),
    ] = None,
    answers: Annotated[
        str | None,
        typer.Argument(
            metavar="ANSWERS",
            help="Folder for the answers, or its URL; created if it does not exist.",
            show_default=False,
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
    output_folder: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PATH", help="The same as ANSWERS.")
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of the answers of a table: nii.gz, nii, nrrd, mha, png, dcm (DICOM SEG) or npz. By default "
            "png for pictures, npz for NPZ files and nii.gz for all others.",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="Name of the answers instead, such as {case}/{name}.nii.gz: {case} and {stem} are the case's name "
            "with and without its folders; with {name} or {label}, each object has a file of its own.",
            show_default=False,
        ),
    ] = None,
    if_different: Annotated[
        str | None,
        typer.Option(
            help="What to do with an answer that was made from another image, box, option or model: refuse (the case "
            "fails, and the answer stays) or redo. The default is refuse.",
            show_default=False,
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
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Do part I of N; together they are all cases.", show_default=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most cases to do in this run.", show_default=False)] = None,
    resume: Annotated[  # noqa: ARG001 (every run does)
        bool,
        typer.Option("--resume", help="Go on where an earlier run has stopped, as every run does."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try quarantined cases again.", rich_help_panel=_FAULTS)
    ] = False,
    tries: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="After so many failures, or ends of its process, a case is quarantined; 2 by default.",
            show_default=False,
            rich_help_panel=_FAULTS,
        ),
    ] = None,
    case_timeout: Annotated[
        float | None,
        typer.Option(min=0.001, help="Most seconds that a case may take.", show_default=False, rich_help_panel=_FAULTS),
    ] = None,
    case_memory: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most bytes of memory that the process may have while a case is at work.",
            show_default=False,
            rich_help_panel=_FAULTS,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of each case.")] = False,
    reproducible: Annotated[
        bool,
        typer.Option("--reproducible", help="f32, on kernels that all processors of this kind have."),
    ] = False,
    progress: Annotated[
        str, typer.Option(help="bar (on a terminal, with lines for what fails) or jsonl (a JSON object per line).")
    ] = "bar",
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
    ray: Ray = None,
    actors: Actors = "auto",
    times: Annotated[bool, typer.Option("--times", help="Print how long each phase of the start took.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Json = False,
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
    only_server = {
        "--study": study,
        "--series": series,
        "--box": box,
        "--box-mm": box_mm,
        "--name": name,
        "--boxes-from": boxes_from,
        "--store": store,
        "--dicomweb-auth": dicomweb_auth,
        "--dicomweb-ca": dicomweb_ca,
        "--dicomweb-cert": dicomweb_cert,
    }
    if dicomweb is None:
        _refuse([option for option, value in only_server.items() if value], "no --dicomweb", "both")
    if dicomweb is not None and study is not None and answers is None and output_folder is None:
        cases, answers = None, cases  # run --dicomweb URL --study UID ANSWERS
    source, target = _places(cases, cases_option, input_folder, answers, output_folder, study)
    cluster = ray_options(ray, actors)
    if progress not in ("bar", "jsonl"):
        raise InvalidArgument(f"--progress: got {progress}, expected bar or jsonl")
    screen = JsonScreen() if progress == "jsonl" else RunScreen(quiet)
    asked = "f32" if reproducible else chosen_precision(precision, profile)
    model = Model(bundle, profile, asked, trust_certificates, device, threads, cache_dir)

    only_table = {
        "--format": output_format,
        "--template": template,
        "--if-different": if_different,
        "--shard": shard,
        "--limit": limit,
        "--retry-failed": retry_failed,
        "--tries": tries,
        "--case-timeout": case_timeout,
        "--case-memory": case_memory,
        "--dry-run": dry_run,
        "--reproducible": reproducible,
        "--window": window,
        "--skip-unreadable": skip_unreadable,
        "--objects": objects,
        "--preview-folder": preview_folder,
        "--ray": ray,
    }
    if dicomweb is None and (
        source is None or input_folder is not None or (source.is_dir() and not has_prompts_beside(source))
    ):
        assert source is not None  # a server's study alone does without
        _refuse([name for name, value in only_table.items() if value], "a folder of NPZ cases", "a table of cases")
        folder = FolderOptions(source, Path(target), overwrite, csv, modality, max_bytes, times)
        whole = run_folder(folder, model, screen)
    else:
        _refuse(["--times"] if times else [], "a table of cases", "a folder of NPZ cases")
        run = RunOptions(
            answers=target,
            bundle=None if bundle is None else str(bundle),
            profile=profile,
            precision=precision,
            trust_certificates=trust_certificates,
            device=device,
            threads=threads,
            cache_dir=None if cache_dir is None else str(cache_dir),
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
        if cluster is not None:
            local = {"--limit": limit, "--case-timeout": case_timeout, "--case-memory": case_memory}
            _refuse([name for name, value in local.items() if value is not None], "--ray", "a run on this machine")
        options = TableOptions(
            source=source or Path(),
            run=run,
            csv=csv,
            objects=objects,
            shard=None if shard is None else Shard.of(shard),
            limit=limit,
            dry_run=dry_run,
            limits=CaseLimits(case_timeout, case_memory),
            supervise=context.obj is OWN_PROCESS,
            ray=cluster,
        )
        if dicomweb is None:
            failed = run_table(options, find_bundle(bundle), lambda: model.load(screen), screen)
        else:
            _refuse(["--input"] if input_folder else [], "--dicomweb", "a table of cases or --study")
            _refuse(["--ray"] if ray else [], "--dicomweb", "a table of files")
            server = DicomWebOptions(
                url=dicomweb,
                table=source,
                study=study,
                series=series or [],
                modality=modality,
                box=box or [],
                box_mm=box_mm or [],
                names=name or [],
                boxes_from=boxes_from,
                store=store,
                auth=dicomweb_auth,
                authorities=dicomweb_ca,
                certificate=dicomweb_cert,
            )
            failed = run_dicomweb(server, options, find_bundle(bundle), lambda: model.load(screen), screen)
        whole = failed == 0
    if as_json:
        about = None if model.engine is None else model.engine.info
        ran = {} if about is None else engine_object(about, certificate_in_force(about))
        print_json("run", {"input": source or study, "answers": target, **ran, **ended_content(screen.ended)})
    if not whole:
        raise typer.Exit(SOME_FAILED)


def _places(
    cases: str | None,
    cases_option: Path | None,
    folder: Path | None,
    answers: str | None,
    output: str | None,
    study: str | None,
) -> tuple[Path | None, str]:
    """The cases and the folder for the answers, from the arguments or from the options that replace them."""
    if answers is None and cases is not None and (cases_option or folder) and output is None:
        cases, answers = None, cases  # run --cases cases.csv ANSWERS
    given = [path for path in (cases, cases_option, folder) if path is not None]
    if len(given) != 1 and not (study is not None and not given):
        raise InvalidArgument(
            f"cases: got {len(given)} inputs, expected one: CASES (--cases), a table or a folder, or -i FOLDER"
        )
    targets = [path for path in (answers, output) if path is not None]
    if len(targets) != 1:
        raise InvalidArgument(
            f"output: got {len(targets)} folders of answers, expected one: ANSWERS or -o FOLDER; see --help"
        )
    (target,) = targets
    # A path as others write it; pathlib would make one of the two slashes of a URL.
    return Path(given[0]) if given else None, target if is_url(target) else str(Path(target))


def _refuse(options: list[str], given: str, wanted: str) -> None:
    if options:
        raise InvalidArgument(f"{options[0]}: got it with {given}, expected {wanted}; leave it out")
