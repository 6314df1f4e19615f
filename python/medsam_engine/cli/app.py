# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The commands together, and what becomes of their errors: one line on stderr and an exit status, never a traceback."""

from collections.abc import Sequence

import typer

import medsam_engine
from medsam_engine.cli import bench, build_plan, certify, export, fetch, half, info, quantize, segment, tune
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


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit status."""
    try:
        status = app(args=list(arguments), prog_name="medsam-engine", standalone_mode=False)
    except Error as error:  # the whole family, out of memory and the backend's failures too (docs/errors.md)
        return _fail(str(error), FAILED)
    except MemoryError as error:  # NumPy's and Python's own, which no reader turned into OutOfMemory
        return _fail(f"out of memory: {error or 'an allocation failed'}; use a smaller image or free memory", FAILED)
    except OSError as error:
        # Of a file or a disk, not of this program: a folder that went away, a disk that is full.
        return _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", FAILED)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        # typer depends on click or carries its own copy, by version; a usage error of either has these two.
        format_message, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
        if callable(format_message) and isinstance(code, int):
            message = str(format_message())
            return _fail(message, code) if message else code
        return _fail(f"internal error: {type(error).__name__}: {error}", INTERNAL_ERROR)
    if status == INTERRUPTED:  # which newer versions of typer return by themselves
        return _fail("interrupted", INTERRUPTED)
    return status if isinstance(status, int) else 0
