# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Shows the steps of a command on standard error, and how long each took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from medsam_engine.cli.terminal import say


class Steps:
    """Shows the current step, and how long each step took.

    Attributes:
        seconds: of each step that was finished, by its name.
        notes: what the user should know of the input and of how it is treated, in order.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Shows `what` while the block runs, then a line with its time."""
        with self._console.status(what), self.timed(what):
            yield

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Likewise, for a block that shows its own progress."""
        started = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - started
        self.say(f"{what:<24} {self.seconds[what] * 1000:8.1f} ms")

    def note(self, text: str) -> None:
        """Prints a note for the user and keeps it for --json."""
        self.notes.append(text)
        self.say(text)

    def say(self, text: str) -> None:
        """Prints one line."""
        say(self._console, text)
