# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a person sees: times of the page in a headless Chromium, by the harness of tests/e2e.

"Page" is from the pointer's release until the canvas is drawn with the new mask, by the page's own clock; "server" is
the server's log, from a request's header to the end of its reply.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.serve.load import ORGAN, SLICE
from benchmarks.serve.server import Server, server
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "e2e"))
from page_driver import PageDriver

ROUTE = "/api/studies/{study}/prompts"
_PIXELS = "performance.getEntriesByName('prompt to pixels')"
_ENCODED = "document.getElementById('encoding').value === document.getElementById('encoding').max"
_MINUTES = 600.0  # s; a wait that fails only where something is broken
# Carries the object, and calls back with the ms until its first plane and all of them are drawn, and the planes.
_FILL = """
const done = arguments[0], page = window.medsamPage, { view } = page, grow = view.grow, began = performance.now();
const next = (act) => { view.drawn = () => { view.drawn = null; act(performance.now() - began); }; page.redraw(); };
let first = null;
view.grow = (told) => { grow.call(view, told); if (first === null) { first = 0; next((ms) => { first = ms; }); } };
page.propagate().then(() => {
  view.grow = grow;
  const { box } = view.objects.find(({ key }) => key === view.current);
  next((ms) => done([first, ms, box[5] - box[2] + 1]));
});
"""


class Answers(NamedTuple):
    """Times of prompts of one kind, in ms.

    Attributes:
        page: as the page measured them.
        server: as the server logged them.
    """

    page: NDArray[np.float64]
    server: NDArray[np.float64]


class Filled(NamedTuple):
    """A propagation on the page: ms until its first plane and all of them are drawn, and the planes of the object."""

    first: float
    all: float
    planes: int


def start_to_first_mask(bundle: Path, scan: Path, chromium: Any, *options: str) -> float:
    """Seconds from the start of the server's process until a box's mask is drawn on its page."""
    with server(bundle, scan, "--no-token", *options) as running:
        page = PageDriver(chromium, running.address)
        _timed(page, lambda: page.drag(0, *ORGAN))
        drawn = f"performance.timeOrigin + {_PIXELS}[0].startTime + {_PIXELS}[0].duration"
        return float(page.value(drawn)) / 1000 - running.began


def cold_boxes(bundle: Path, scan: Path, chromium: Any, *options: str) -> Answers:
    """Of boxes on slices that are far from each other and not encoded yet, right after the start."""
    with server(bundle, scan, "--no-token", *options) as running:
        page = PageDriver(chromium, running.address)

        def draw(index: int) -> Callable[[], None]:
            page.slice(0, index)
            return lambda: page.drag(0, *ORGAN)

        return _answers(running, page, (draw(index) for index in (2, 117, 12, 107, 22, 97)))


class EncodedPage:
    """A page whose study is encoded whole."""

    def __init__(self, running: Server, chromium: Any) -> None:
        self._running = running
        self.page = PageDriver(chromium, running.address)
        self.page.until(_ENCODED, _MINUTES)
        self.page.slice(0, SLICE)

    def boxes(self, count: int) -> Answers:
        """Of boxes that differ."""
        (x0, y0), (x1, y1) = ORGAN
        corners = [((x0 - n % 7, y0 + n % 5), (x1 + n % 3, y1)) for n in range(count)]
        return _answers(self._running, self.page, (lambda ends=ends: self.page.drag(0, *ends) for ends in corners))

    def clicks(self, points: list[tuple[int, int]]) -> Answers:
        """Of clicks, each of which begins an object."""

        def click(point: tuple[int, int]) -> Callable[[], None]:
            self.page.keys("m")
            return lambda: self.page.click(0, point)

        found = _answers(self._running, self.page, (click(point) for point in points))
        for _ in points:
            self.page.after(lambda: self.page.keys("r"))
        return found

    def corrections(self, points: list[tuple[int, int]]) -> Answers:
        """Of a negative click each, at an object that a box has found; taken back between."""
        self.page.keys("m")
        self.page.after(lambda: self.page.drag(0, *ORGAN))

        def correct(point: tuple[int, int], first: bool) -> Callable[[], None]:
            if not first:
                self.page.after(self.page.undo)
            return lambda: self.page.click(0, point, negative=True)

        found = _answers(self._running, self.page, (correct(point, point is points[0]) for point in points))
        self.page.after(lambda: self.page.keys("r"))
        return found

    def fill(self, box: tuple[tuple[int, int], tuple[int, int]]) -> Filled:
        """Of a box that is carried through the volume."""
        self.page.keys("m")
        self.page.after(lambda: self.page.drag(0, *box))
        self.page.leave()
        self.page.browser.set_script_timeout(_MINUTES)
        filled = Filled(*self.page.browser.execute_async_script(_FILL))
        self.page.after(lambda: self.page.keys("r"))
        return filled


def encoding_seconds(running: Server) -> float:
    """Waits until the only study is encoded whole; the seconds since the server was ready."""
    with urllib.request.urlopen(f"{running.address}/api/state") as reply:
        study = json.load(reply)["studies"][0]["id"]
    with urllib.request.urlopen(f"{running.address}/api/studies/{study}/events", timeout=_MINUTES) as events:
        name = ""
        for line in events:
            kind, _, value = line.decode().strip().partition(": ")
            if kind == "event":
                name = value
            elif kind == "data" and name == "encoding":
                standing = json.loads(value)
                if standing["encoded"] == standing["total"]:
                    return time.time() - running.began - running.ready_seconds
                if standing["idle"]:
                    raise SystemExit(f"serve: encoding ended at {standing['encoded']} of {standing['total']} slices")
    raise SystemExit("serve: the server ended before all slices were encoded")


def _timed(page: PageDriver, draw: Callable[[], None]) -> float:
    """The page's ms of one prompt."""
    before = page.value(f"{_PIXELS}.length")
    draw()
    page.until(f"{_PIXELS}.length > {before} && !window.medsamPage.steps", _MINUTES)
    return float(page.value(f"{_PIXELS}.at(-1).duration"))


def _answers(running: Server, page: PageDriver, prompts: Any) -> Answers:
    before = len(running.times(event="request", route=ROUTE))
    took = [_timed(page, prompt) for prompt in prompts]
    logged = running.times(event="request", route=ROUTE)[before:]
    return Answers(np.array(took), logged)
