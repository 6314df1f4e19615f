# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run`: a folder of challenge cases, by the same C++ as the program medsam-npz."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from medsam_engine import CaseReport, Engine, FolderReport, FolderRun, ModelError, find_bundle
from medsam_engine.cli.input_options import MaxBytes
from medsam_engine.cli.terminal import description_column, log_to, say
from medsam_engine.output_check import check_outputs
from medsam_engine.printable import printable

SOME_FAILED = 1


class _Screen:
    """A bar where standard error is a terminal, a line for each failure, a summary; only failures when quiet."""

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._counts = {"done": 0, "skipped": 0, "failed": 0}
        self._started = time.perf_counter()
        self.bar = Progress(
            description_column(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self.bar.add_task("", total=None)
        log_to(self._console)

    def note(self, text: str) -> None:
        if not self._quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        say(self._console, text)

    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None:
        within = step / steps if steps else 0.0
        self.bar.update(self._task, description=printable(name), completed=index + within, total=count)

    def finished(self, report: CaseReport) -> None:
        self._counts[report.status] += 1
        if report.status == "failed":
            self.complain(f"{report.name}: {report.message}")
        elif report.empty_objects:
            self.note(f"{report.name}: nothing found in {report.empty_objects} of {report.objects} boxes")

    def summary(self) -> None:
        done, skipped, failed = self._counts.values()
        seconds = time.perf_counter() - self._started
        self.note(f"{done} case{'s' * (done != 1)} done, {skipped} skipped, {failed} failed in {seconds:.2f} s")


def _first_case(report: FolderReport) -> list[tuple[str, float]]:
    first = next((case for case in report.cases if case.status == "done"), None)
    if first is None:
        return []
    return [
        ("read first case (while the model loads)", first.read_s),
        ("segment first case", first.segment_s),
        ("write first case (while the next is segmented)", first.write_s),
    ]


def run_cases(
    input_folder: Annotated[
        Path,
        typer.Option(
            "--input", "-i", help="Cases, *.npz; 2DBox_* are images with boxes (N, 4), 3DBox_* volumes (N, 6)."
        ),
    ],
    output_folder: Annotated[Path, typer.Option("--output", "-o", help="Folder of the answers; made if absent.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Model folder; else $MEDSAM_ENGINE_BUNDLE, else the one that was fetched.")
    ] = None,
    profile: Annotated[str, typer.Option(help="clinical, or the rules of a published system.")] = "clinical",
    precision: Annotated[str, typer.Option(help="f32, bf16, f16, int8 or auto, as the bundle allows.")] = "f32",
    trust_certificates: Annotated[
        bool, typer.Option("--trust-certificates", help="Take the bundle's own word for the certificates it has.")
    ] = False,
    device: Annotated[str, typer.Option(help="Inference device.")] = "CPU",
    threads: Annotated[int, typer.Option(help="Inference threads; 0 = all cores.")] = 0,
    max_bytes: MaxBytes = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do finished cases again.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Table of times to write.")] = None,
    modality: Annotated[
        str | None, typer.Option(help="CT, MR, PET, US, XRay, ... of every case; else what its file name tells.")
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help='Compiled models; "none" = keep none; else the user\'s cache folder.')
    ] = None,
    times: Annotated[bool, typer.Option("--times", help="Print how long each phase of the start took.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Segment every case of a folder: NAME.npz with imgs and boxes in, NAME.npz with segs out.

    A finished case is skipped; a broken one is reported, the rest go on, and the exit status is 1.
    """
    screen = _Screen(quiet)
    started = time.perf_counter()
    try:
        also_read = [find_bundle(bundle)]
    except ModelError:
        also_read = []  # where every answer is there, none is needed
    if input_folder.is_dir():
        check_outputs({"--csv": csv}, [*input_folder.glob("*.npz"), *also_read])
    run = FolderRun(
        input_folder,
        output_folder,
        overwrite=overwrite,
        csv=csv,
        modality=modality,
        max_bytes=max_bytes,
        also_read=also_read,
    )
    listed = time.perf_counter()
    engine = None
    if run.pending:
        engine = Engine(
            find_bundle(bundle),
            device=device,
            precision=precision,
            trust_bundle_certificates=trust_certificates,
            threads=threads,
            profile=profile,
            cache_dir=cache_dir,
        )
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
    if times:
        for name, seconds in phases + _first_case(report):
            screen.complain(f"{name:<48} {seconds * 1000:10.1f} ms")
    if report.failed or report.csv_fault:
        raise typer.Exit(SOME_FAILED)
