# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The edge to the terminal: what comes from files is text there, neither markup nor control characters."""

import logging

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import TextColumn
from rich.text import Text

from medsam_engine.base.printable import printable


def plain(value: object) -> Text:
    """A cell or a line, printable, in which rich sees no markup and no emoji."""
    return Text(printable(value))


def say(console: Console, text: object) -> None:
    """One line, not wrapped."""
    console.print(plain(text), soft_wrap=True)


def description_column() -> TextColumn:
    """A progress bar's column of descriptions, which are to be made printable."""
    return TextColumn("{task.description}", markup=False)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to(console: Console) -> None:
    """Warnings of all loggers, each in one line."""
    handler = RichHandler(console=console, markup=False)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    handler.setFormatter(_OneLine("%(message)s"))
