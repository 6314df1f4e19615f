# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Times of a server of its own, on a synthetic CT: start, boxes, propagation, and heartbeats under full load.

``python -m benchmarks.serve --bundle build/bundles/litemedsam`` prints one line per figure. "Server's log" is the time
from a request's header to the end of its reply.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.serve.load import KEY, connected, draw, open_image, phantom

from medsam_engine import io
from medsam_engine.io.medical_image import MedicalImage


@dataclass
class Server:
    """A running server and what it logs."""

    port: int
    ready_seconds: float
    events: list[dict[str, Any]] = field(default_factory=list)

    def times(self, **wanted: object) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The times in ms of the events that have these fields."""
        found = [e["ms"] for e in self.events if wanted.items() <= e.items()]
        return np.array(found, np.float64)


@contextmanager
def server(bundle: Path, scan: Path, *options: str) -> Iterator[Server]:
    """`medsam-engine serve SCAN`, from before its start until after its end."""
    command = [sys.executable, "-m", "medsam_engine", "serve", str(scan), "--bundle", str(bundle), "--port", "0"]
    command += ["--no-browser", "--log-json", "--key", KEY, "--save-folder", str(scan.parent / "saved"), *options]
    started = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline()
            if not line:
                raise SystemExit("serve: the server ended before it was ready")
            found = re.search(r"MITK: http://127\.0\.0\.1:(\d+) ", line)
        running = Server(int(found[1]), time.perf_counter() - started)
        reading = threading.Thread(target=_read, args=(process.stderr, running.events), daemon=True)
        reading.start()
        try:
            yield running
        finally:
            process.terminate()
            reading.join()


def _read(lines: Any, events: list[dict[str, Any]]) -> None:
    for line in lines:  # one at a time, while the server runs
        if line.startswith("{"):
            events += [json.loads(line)]


def one_slice(client: Any) -> tuple[float, float]:
    """The client's ms of a box on a slice that is not encoded, and the 95th percentile of 60 on one that is."""
    client.set_do_autozoom(False)
    took = []
    for n in range(61):
        began = time.perf_counter()
        client.add_bbox_interaction([[60, 61], [180, 300], [125 - n % 7, 275 + n % 5]], True)
        took.append((time.perf_counter() - began) * 1000)
        client.undo()
    return took[0], float(np.percentile(took[1:], 95))


def heartbeats(running: Server, seconds: float) -> np.ndarray[Any, Any]:
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


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=30, help="of load")
    given = parser.parse_args()
    values = phantom()
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "scan.nii.gz"
        image = MedicalImage(values, (0.8, 0.8, 2.5), (0.0, 0.0, 0.0), np.eye(3), "CT", scan)
        io.write(scan, (values + 1100).astype(np.uint16), image)
        starts = []
        for _ in range(3):
            with server(given.bundle, scan) as running:
                starts.append(running.ready_seconds)
        print(f"serve scan.nii.gz to ready, 120 x 512 x 512        {np.median(starts):8.2f} s (median of 3)")
        with server(given.bundle, scan) as running:
            client = open_image(running.port, values)
            cold, warm = one_slice(client)
            own = running.times(event="interaction", kind="box")
            requests = running.times(event="request", route="/add_bbox_interaction")
            print(f"box, first one: as the client sees it               {cold:8.1f} ms; server {own[0]:.1f} ms")
            print(f"box, encoded slice, p95 of 60: request, server's log {np.percentile(requests[1:], 95):7.1f} ms")
            print(f"box, encoded slice, p95 of 60: as the client sees it {warm:7.1f} ms")
            client.set_do_autozoom(True)
            for what in ("not encoded but for what was encoded meanwhile", "encoded"):
                began = time.perf_counter()
                region = client.add_bbox_interaction([[60, 61], [180, 300], [125, 275]], True)
                took = time.perf_counter() - began
                planes = region[0][1] - region[0][0]
                print(f"box carried to {planes} slices, {what}: {took:.2f} s")
                client.undo()
            client.close()
        with server(given.bundle, scan) as running:
            beats = heartbeats(running, given.seconds)
        p50, p95, most = np.percentile(beats, [50, 95, 100])
        print(f"heartbeat under load, {len(beats)} of them: p50 {p50:.1f}, p95 {p95:.1f}, most {most:.1f} ms (client)")
        logged = running.times(event="interaction", kind="box")
        print(f"carried boxes meanwhile: {len(logged)}, longest {logged.max() / 1000:.1f} s")


if __name__ == "__main__":
    main()
