# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How quickly a server and its page answer, on a synthetic CT: a table with a bar for each row.

``python -m benchmarks.serve --bundle build/bundles/litemedsam`` needs what ``make e2e`` and ``make clients`` need.
"Server" is its own log, from a request's header to the end of its reply; "page" is from the pointer's release to drawn
pixels. The last column says whether the bar is met; on a machine with other work it says nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.serve.in_process import own_times
from benchmarks.serve.load import (
    AT_EDGE,
    KEY,
    ON_ORGAN,
    REACHES_40,
    SPACING,
    connected,
    draw,
    open_image,
    phantom,
)
from benchmarks.serve.on_page import EncodedPage, cold_boxes, encoding_seconds, start_to_first_mask
from benchmarks.serve.server import Server, server
from benchmarks.serve.table import Table
from headless_chromium import open_chromium, renderer
from numpy.typing import NDArray

from medsam_engine import io
from medsam_engine.io.medical_image import MedicalImage

# The file has values from 75 up, because a label file has no negative ones: the abdomen's window, moved likewise.
_SHIFT, _WINDOW = 1100, "400,1140"
_BOXES = 60


def p95(times: NDArray[np.float64]) -> float:
    """The 95th percentile."""
    return float(np.percentile(times, 95))


def measure_starts(table: Table, bundle: Path, scan: Path, chromium: Any, options: tuple[str, ...]) -> None:
    """From the command to the first mask; the first start warms the caches and does not count."""
    took = [start_to_first_mask(bundle, scan, chromium, *options) for _ in range(4)][1:]
    table.add("serve scan.nii.gz: process start to the first mask on the page, median of 3", np.median(took), 3, "s")
    found = [cold_boxes(bundle, scan, chromium, *options) for _ in range(3)]
    for name, bar, times in (("server", 350, [a.server for a in found]), ("page", 500, [a.page for a in found])):
        joined = np.concatenate(times)
        table.add(f"box on a slice that is not encoded, p95 of {joined.size}, {name}", p95(joined), bar, "ms")


def measure_encoding(table: Table, running: Server, encode_ms: float, slices: int) -> None:
    """The whole volume in the background, against as many encodes of the bench."""
    bar = encode_ms * slices * 1.1 / 1000
    what = f"{slices} slices encoded in the background (bench: {encode_ms:.1f} ms per encode, x {slices} x 1.1)"
    table.add(what, encoding_seconds(running), bar, "s")


def measure_page(table: Table, running: Server, chromium: Any, own: Any) -> None:
    """Prompts on encoded slices, and a propagation."""
    page = EncodedPage(running, chromium)
    boxes = page.boxes(_BOXES)
    table.add(f"box on an encoded slice, p95 of {_BOXES}, server", p95(boxes.server), 40, "ms")
    table.add(f"box on an encoded slice, p95 of {_BOXES}, page", p95(boxes.page), 150, "ms")
    for what, found, alone in (
        ("click that begins an object", page.clicks(ON_ORGAN), own.clicks),
        ("correcting click", page.corrections(AT_EDGE), own.corrections),
    ):
        base = float(np.median(alone))
        for name, more, times in (("server", 20, found.server), ("page", 100, found.page)):
            row = f"{what}, median of {times.size}, {name} (Session alone: {base:.1f} ms, + {more})"
            table.add(row, np.median(times), base + more, "ms")
    fills = [page.fill(REACHES_40) for _ in range(5)]
    planes = fills[0].planes
    table.add(f"object of {planes} slices, encoded: first slice drawn, median of 5", _median(fills, 0), 150, "ms")
    table.add(f"object of {planes} slices, encoded: all drawn, median of 5", _median(fills, 1) / 1000, 1.5, "s")


def _median(rows: list[Any], column: int) -> float:
    return float(np.median([row[column] for row in rows]))


def measure_protocol(table: Table, running: Server, values: NDArray[np.int16]) -> None:
    """The protocol of nnInteractive, with its client."""
    client = open_image(running.port, values)
    client.set_do_autozoom(False)
    took = []
    for n in range(_BOXES + 1):
        began = time.perf_counter()
        client.add_bbox_interaction([[60, 61], [180, 300], [125 - n % 7, 275 + n % 5]], True)
        took.append((time.perf_counter() - began) * 1000)
        client.undo()
    client.close()
    requests = running.times(event="request", route="/add_bbox_interaction")[1:]
    table.add(f"nnInteractive's client: box on an encoded slice, p95 of {_BOXES}, server", p95(requests), 40, "ms")
    table.add(f"the same as the client sees it, p95 of {_BOXES}", p95(np.array(took[1:])), None, "ms")


def heartbeats(running: Server, seconds: float) -> NDArray[np.float64]:
    """The ms of heartbeats while three other processes draw."""
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    drawing = [spawn.Process(target=draw, args=(running.port, n, stop)) for n in range(3)]
    for process in drawing:
        process.start()
    beating = connected(running.port)
    while sum(e.get("kind") == "box" for e in running.events) < 1:  # until there is load
        time.sleep(0.05)
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        beating.heartbeat()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.05)
    stop.set()
    for process in drawing:
        process.join()
    beating.close()
    return np.array(took)


def bench(bundle: Path) -> tuple[dict[str, Any], Callable[[str], float]]:
    """What `medsam-engine bench` says of this machine, and the ms of an encode in a precision."""
    command = [sys.executable, "-m", "medsam_engine", "bench", str(bundle), "--size", "512", "--no-roofline", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    report = json.loads(done.stdout)
    stages = {(stage["stage"], stage["precision"]): float(stage["median_ms"]) for stage in report["stages"]}
    return report["machine"], lambda precision: stages["encode", precision]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=30, help="of load")
    parser.add_argument("--precision", default="auto", help="as serve has it")
    given = parser.parse_args()
    bundle = given.bundle.resolve()
    values = phantom()
    shifted = (values + _SHIFT).astype(np.uint16)
    options = ("--window", _WINDOW, "--modality", "CT", "--precision", given.precision)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = folder / "scan.nii.gz"
        io.write(scan, shifted, MedicalImage(values, SPACING, (0.0, 0.0, 0.0), np.eye(3), "CT", scan))
        chromium = open_chromium(folder)
        if chromium is None:
            raise SystemExit("serve: no chromium or chromedriver; make e2e installs them")
        load = os.getloadavg()[0]
        machine, encode_ms = bench(bundle)
        own = own_times(bundle, given.precision, shifted, _WINDOW, ON_ORGAN, AT_EDGE)
        print(f"{machine['processor']}, {machine['cores']} cores; {own.precision}; {renderer(chromium)}")
        print(f"load average before: {load:.2f}\n")
        table = Table()
        try:
            measure_starts(table, bundle, scan, chromium, options)
            with server(bundle, scan, "--no-token", *options) as running:
                measure_encoding(table, running, encode_ms(own.precision), len(values))
                measure_page(table, running, chromium, own)
        finally:
            chromium.quit()
        with server(bundle, scan, "--key", KEY, *options) as running:
            measure_protocol(table, running, values)
            beats = heartbeats(running, given.seconds)
        table.add(f"heartbeat while three programs draw, p95 of {beats.size}", p95(beats), 50, "ms")
        table.end()


if __name__ == "__main__":
    main()
