# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The stages of one system, timed inside its own process on request, so that systems can take turns.

The process answers each line on standard input with one line on standard output: `encode`, `prompt` or `batch` (the
case's 16 boxes) with the seconds that it took once. It says `ready` when it has loaded, and ends with its input.
"""

import sys
import time
from typing import Protocol


class Stages(Protocol):
    """What can be asked for."""

    def encode(self) -> None:
        """Pixels to embedding, never from a cache."""

    def prompt(self) -> None:
        """One box on the embedding to a mask of the image's size."""

    def batch(self) -> None:
        """All boxes of the case on the embedding to a mask each."""


def serve(stages: Stages) -> None:
    """Answers until standard input ends."""
    steps = {"encode": stages.encode, "prompt": stages.prompt, "batch": stages.batch}
    print("ready", flush=True)
    for line in sys.stdin:
        step = steps[line.strip()]
        begin = time.perf_counter()
        step()
        print(time.perf_counter() - begin, flush=True)
