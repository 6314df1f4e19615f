# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""All commands. Their errors become one line on stderr and an exit status, never a traceback."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import typer
from rich.markup import escape

import medsam_engine
from medsam_engine.base.build_folders import build_folder
from medsam_engine.base.printable import printable
from medsam_engine.cli import info, serve, view
from medsam_engine.cli.bundle import build_plan, certify, export, fetch, half, quantize
from medsam_engine.cli.measure import bench, tune
from medsam_engine.cli.measure import eval as eval_command
from medsam_engine.cli.measure.bench import with_json_target
from medsam_engine.cli.outcome import FAILED, outcome
from medsam_engine.cli.run import command as run_command
from medsam_engine.cli.segment import command as segment
from medsam_engine.cli.termination import TERMINATED, interrupted_by_sigterm

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_VIEW_EXAMPLES = """Examples:

medsam-engine view scan.nii.gz -o sheet.png

medsam-engine view scan.nii.gz --slice 25 --box 120,80,10,190,160,40 -o slice.png
"""
_RUN_EXAMPLES = """Examples:

medsam-engine run cases.csv answers --objects sizes.csv --preview-folder pictures

medsam-engine run npz_folder answers

medsam-engine run npz_folder answers --profile litemedsam --csv times.csv

medsam-engine run --dicomweb https://pacs.example.org/dicom-web --study 1.2.3 --boxes-from RTSTRUCT --store answers
"""
_EXPORT_EXAMPLE = "Example: medsam-engine export litemedsam --checkpoint lite_medsam.pth --out my_bundle"
_CERTIFY_EXAMPLE = "Example: medsam-engine certify my_bundle --images cases --encoder bf16_mixed --decoder bf16"

app = typer.Typer(
    name="medsam-engine",
    help="Promptable medical segmentation without PyTorch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("segment", epilog=segment.EXAMPLES)(segment.segment)
app.command("view", epilog=_VIEW_EXAMPLES)(view.view)
app.command("run", epilog=_RUN_EXAMPLES)(run_command.run_cases)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("info", epilog=info.EXAMPLES)(info.info)
app.command("bench", epilog=bench.EXAMPLES)(bench.bench)
app.command("eval", epilog=eval_command.EXAMPLES)(eval_command.evaluate)
app.command("fetch", epilog="Example: medsam-engine fetch litemedsam")(fetch.fetch)
app.command("export", epilog=_EXPORT_EXAMPLE)(export.export)
app.command("certify", epilog=_CERTIFY_EXAMPLE)(certify.certify)
app.command("quantize", epilog="Example: medsam-engine quantize BUNDLE --images CASES")(quantize.quantize)
app.command("tune", epilog=tune.EXAMPLES)(tune.tune)
app.command("build-plan", epilog="Example: medsam-engine build-plan BUNDLE --target sm_89,sm_120")(
    build_plan.build_plan
)
app.command("half", epilog="Example: medsam-engine half BUNDLE --images CASES")(half.half)


@cache
def _command() -> Any:
    """All commands, with help texts in which rich sees no markup: "the extra [cuda]" keeps its brackets."""
    built: Any = typer.main.get_command(app)
    for command in (built, *built.commands.values()):
        command.help = escape(command.help or "")
        command.epilog = escape(command.epilog or "")
        for parameter in command.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = escape(text)
    return built


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"medsam-engine {medsam_engine.__version__}")
        raise typer.Exit


def _show_folder(parameter: typer.CallbackParam, asked: bool) -> None:
    if asked:
        typer.echo(build_folder(parameter.opts[0]))
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
    cmake_dir: bool = typer.Option(
        False,
        "--cmake-dir",
        callback=_show_folder,
        is_eager=True,
        help="Print CMake's medsam_engine_DIR.",
    ),
    pkgconfig_dir: bool = typer.Option(
        False, "--pkgconfig-dir", callback=_show_folder, is_eager=True, help="Print pkg-config's PKG_CONFIG_PATH."
    ),
) -> None:
    """Promptable medical segmentation without PyTorch."""


def _fail(message: str, status: int) -> int:
    typer.echo("medsam-engine: " + printable(" ".join(message.split())), err=True)
    return status


def _spaces_hint(arguments: Sequence[str]) -> str:
    """What a usage error does not say of `--box 52, 52, 16`: the shell made several words of it."""
    options = ("--box", "--box-mm", "--point")
    for option, value in pairwise(arguments):
        if option in options and value.endswith(","):
            return f"; no spaces between the numbers: {option} {value}..."
    return ""


def run(arguments: Sequence[str], *, process: object = None) -> int:
    """Runs one command line and returns its exit status. `process`: OWN_PROCESS where nothing else runs in this one."""
    try:
        with interrupted_by_sigterm() as termination:
            status = _command()(
                args=with_json_target(arguments), prog_name="medsam-engine", standalone_mode=False, obj=process
            )
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        message, code = outcome(error)
        message += _spaces_hint(arguments) if code == FAILED else ""
        return _fail(message, code) if message else code
    if status == INTERRUPTED:  # which newer versions of typer return by themselves
        return _fail("interrupted", TERMINATED if termination.came else INTERRUPTED)
    return status if isinstance(status, int) else 0
