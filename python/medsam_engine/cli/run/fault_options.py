# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options of `medsam-engine run` for cases that fail, end their process, or take too much."""

from typing import Annotated

import typer

_PANEL = "Cases that fail"

RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try quarantined cases again.", rich_help_panel=_PANEL)
]
Tries = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Quarantine a case after it has failed, or ended its process, this many times; 2 by default.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
CaseTimeout = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Longest time that a case may take, in seconds.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
CaseMemory = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Most memory that the process may have while a case is at work, in bytes.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
