# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How a session's calls are run, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Error, SessionObject


class Answer(NamedTuple):
    """What a step of the session left.

    Attributes:
        found: the session's objects.
        labels: of the layer's shape, labels of the table.
    """

    found: list[SessionObject]
    labels: NDArray[np.uint16]


class Run(Protocol):
    """Runs calls one after the other, on any thread, and tells the thread of the viewer how each ended."""

    def __call__(
        self, call: Callable[[], Any], done: Callable[[Any], object], failed: Callable[[Error], object]
    ) -> None:
        """Runs `call`, then either `done` with what it returned or `failed` with what it raised."""


def run_now(call: Callable[[], Any], done: Callable[[Any], object], failed: Callable[[Error], object]) -> None:
    """A Run that is over when it returns."""
    try:
        answer = call()
    except Error as error:
        failed(error)
    else:
        done(answer)
