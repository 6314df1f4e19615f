# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The command `medsam-engine`. One file per command."""

import io
import sys


def _show_every_name() -> None:
    r"""Lets a name that the output's encoding lacks appear as \uXXXX: on Windows a file or a pipe has the country's."""
    for stream in (sys.stdout, sys.stderr):  # None in a program without a console
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Runs the command line and exits: 0 done, 1 failed cases or an internal error, 2 any other error, 130 Ctrl-C."""
    try:
        # Only to see whether they are there.
        import PIL  # noqa: F401
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError as error:
        from medsam_engine.base.packages import pip_install

        sys.stderr.write(
            f"medsam-engine: got no module {error.name}, expected the command line's libraries; "
            f"{pip_install('typer', 'rich', 'PIL')}\n"
        )
        sys.exit(2)
    from medsam_engine.cli.app import run
    from medsam_engine.cli.own_process import OWN_PROCESS

    _show_every_name()
    sys.exit(run(sys.argv[1:], process=OWN_PROCESS))
