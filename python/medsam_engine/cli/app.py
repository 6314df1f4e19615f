# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""All commands. Their errors become one line on stderr and an exit status, never a traceback."""

from collections.abc import Sequence

import typer

import medsam_engine
from medsam_engine.cli import bench, build_plan, certify, export, fetch, half, info, quantize, segment, tune, view
from medsam_engine.cli import eval as eval_command
from medsam_engine.cli import run as run_command
from medsam_engine.errors import Error
from medsam_engine.printable import printable

FAILED = 2  # any error of the library's family
INTERNAL_ERROR = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

app = typer.Typer(
    name="medsam-engine",
    help="Promptable medical segmentation without PyTorch.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("segment")(segment.segment)
app.command("view")(view.view)
app.command("run")(run_command.run_cases)
app.command("info")(info.info)
app.command("bench")(bench.bench)
app.command("eval")(eval_command.evaluate)
app.command("fetch")(fetch.fetch)
app.command("export")(export.export)
app.command("certify")(certify.certify)
app.command("quantize")(quantize.quantize)
app.command("tune")(tune.tune)
app.command("build-plan")(build_plan.build_plan)
app.command("half")(half.half)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"medsam-engine {medsam_engine.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Promptable medical segmentation without PyTorch."""


def _fail(message: str, status: int) -> int:
    typer.echo("medsam-engine: " + printable(" ".join(message.split())), err=True)
    return status


def _outcome(error: Exception) -> tuple[str, int]:
    """What to print of an error, and the exit status."""
    if isinstance(error, Error):  # the whole family, out of memory and the backend's failures too (docs/errors.md)
        return str(error), FAILED
    if isinstance(error, MemoryError):  # NumPy's and Python's own, which no reader turned into OutOfMemory
        return f"out of memory: {str(error) or 'an allocation failed'}; use a smaller image or free memory", FAILED
    if isinstance(error, OSError):  # of a file or a disk, not of this program: a folder went away, a disk is full
        return f"{error.filename or 'input or output'}: {error.strerror or error}", FAILED
    # typer depends on click or carries its own copy, by version; a usage error of either has these two.
    format_message, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
    if callable(format_message) and isinstance(code, int):
        return str(format_message()), code
    return f"internal error: {type(error).__name__}: {error}", INTERNAL_ERROR


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit status."""
    try:
        status = app(args=list(arguments), prog_name="medsam-engine", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        message, code = _outcome(error)
        return _fail(message, code) if message else code
    if status == INTERRUPTED:  # which newer versions of typer return by themselves
        return _fail("interrupted", INTERRUPTED)
    return status if isinstance(status, int) else 0
