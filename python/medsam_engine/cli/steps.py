# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The steps of a command on standard error: what is being done, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from medsam_engine.cli.terminal import say


class Steps:
    """Shows what is being done, and how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Shows `what` while the block runs, then a line with its time."""
        started = time.perf_counter()
        with self._console.status(what):
            yield
        self.note(f"{what:<24} {(time.perf_counter() - started) * 1000:8.1f} ms")

    def note(self, text: str) -> None:
        """A line of its own."""
        say(self._console, text)
