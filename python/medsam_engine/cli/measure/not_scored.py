# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The cases that `medsam-engine eval` could not score: told at the end, and in the exit status."""

from collections.abc import Sequence

import typer
from rich.console import Console

from medsam_engine.cli.terminal import say


def end_with_problems(notes: Console, problems: Sequence[tuple[str, str]], scored: int) -> None:
    """Names each case and why it was not scored, and ends the command with status 1 if there is one.

    Args:
        notes: where messages go.
        problems: name and reason of each case.
        scored: number of the other cases.
    """
    for case, reason in problems:
        say(notes, f"not scored: {case}: {reason}")
    if problems:
        say(notes, f"{len(problems)} of {scored + len(problems)} cases not scored")
        raise typer.Exit(1)
