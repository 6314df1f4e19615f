# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Four clients that draw at random on one server: is its memory flat, and are the answers a Session's?

``python -m benchmarks.soak.serve --bundle BUNDLE --minutes 60`` (make soak-serve). Two clients speak nnInteractive's
protocol and two the page's; each compares every answer with a replay of its own on a Session. A fifth one sends
heartbeats. The server's resident memory of the last sixth is compared with that of the second sixth (of an hour: the
last 10 minutes, and minutes 10 to 20).

Exit status: 1 if a request failed, a mask differed, nothing was compared or the server ended otherwise than asked; in
runs of 30 minutes or more also if memory grew by more than 3 %.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.soak.serve_clients import KEY, SECONDS, draw
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession

CLIENTS = ("protocol", "page", "protocol", "page")
MOST_GROWTH = 0.03
JUDGED_MINUTES = 30.0  # shorter runs are still filling caches


@contextmanager
def server(bundle: Path, folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """`medsam-engine serve` without an image: its port and process; ended with SIGTERM."""
    command = [sys.executable, "-m", "medsam_engine", "serve", "--bundle", str(bundle), "--port", "0", "--no-browser"]
    command += ["--key", KEY, "--save-folder", str(folder / "saved"), "--sessions", "5", "--seconds", str(SECONDS)]
    log = folder / "log"
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen([*command, "--precision", "f32"], stderr=file, text=True)
    try:
        while (found := re.search(r"MITK: http://127\.0\.0\.1:(\d+) ", log.read_text("utf-8"))) is None:
            if process.poll() is not None:
                raise SystemExit(f"soak: the server did not start: {log.read_text('utf-8')}")
            time.sleep(0.1)
        yield int(found[1]), process
    finally:
        process.terminate()
        process.wait(120)


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    return int(found[1]) / 1024 if found else 0.0


def watch(port: int, pid: int, minutes: float) -> tuple[list[tuple[float, float]], list[float]]:
    """Memory (seconds, MiB) and heartbeats (ms) once a second for `minutes`."""
    beating = nnInteractiveRemoteInferenceSession(f"http://127.0.0.1:{port}", api_key=KEY)
    memory: list[tuple[float, float]] = []
    beats: list[float] = []
    start = time.monotonic()
    while (passed := time.monotonic() - start) < minutes * 60:
        memory.append((passed, rss_mib(pid)))
        began = time.perf_counter()
        beating.heartbeat()
        beats.append((time.perf_counter() - began) * 1000)
        time.sleep(1)
    beating.close()
    return memory, beats


def report(
    memory: list[tuple[float, float]], beats: list[float], seen: list[dict[str, Any]], minutes: float
) -> dict[str, Any]:
    """All that was seen, and `faults`."""
    times, values = np.array(memory).T
    sixth = minutes * 10  # seconds
    early = float(values[(times >= sixth) & (times < 2 * sixth)].mean())
    late = float(values[times >= 5 * sixth].mean())
    faults = [fault for client in seen for fault in client["faults"]]
    faults += [f"{client['client']} compared nothing, expected answers" for client in seen if not client["compared"]]
    if minutes >= JUDGED_MINUTES and late > early * (1 + MOST_GROWTH):
        faults.append(f"memory grew from {early:.0f} to {late:.0f} MiB, expected at most {MOST_GROWTH:.0%}")
    return {
        "minutes": minutes,
        "clients": {client["client"]: {k: client[k] for k in ("steps", "compared", "slow")} for client in seen},
        "rss_mib": {
            "second_sixth": round(early, 1),
            "last_sixth": round(late, 1),
            "most": round(float(values.max()), 1),
        },
        "growth_percent": round(100 * (late / early - 1), 2),
        "heartbeat_ms": {f"p{p}": round(float(np.percentile(beats, p)), 1) for p in (50, 95, 100)},
        "faults": faults,
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak.serve", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    begin, stop, results = spawn.Barrier(len(CLIENTS) + 1), spawn.Event(), spawn.Queue()
    with tempfile.TemporaryDirectory(prefix="medsam-soak-") as folder:
        with server(given.bundle, Path(folder)) as (port, process):
            clients = [
                spawn.Process(target=draw, args=(kind, port, number, given.bundle, begin, stop, results))
                for number, kind in enumerate(CLIENTS)
            ]
            for client in clients:
                client.start()
            begin.wait(300)
            memory, beats = watch(port, process.pid, given.minutes)
            stop.set()
            seen = [results.get(timeout=300) for _ in clients]
            for client in clients:
                client.join()
        result = report(memory, beats, seen, given.minutes)
        if process.returncode != 0:
            result["faults"].append(f"the server ended with status {process.returncode}, expected 0")
    print(json.dumps(result, indent=1))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
