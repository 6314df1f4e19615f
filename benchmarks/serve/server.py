# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A server as a user starts it, and what it logs."""

from __future__ import annotations

import json
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
from numpy.typing import NDArray


@dataclass
class Server:
    """A running server.

    Attributes:
        address: of the page.
        began: seconds of time.time() at which its process was started.
        ready_seconds: from then until it said that it is ready.
        events: its log so far.
    """

    address: str
    began: float
    ready_seconds: float
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Of the address."""
        return int(self.address.rpartition(":")[2])

    def times(self, **wanted: object) -> NDArray[np.float64]:
        """The times in ms of the events that have these fields."""
        found = [e["ms"] for e in self.events if wanted.items() <= e.items()]
        return np.array(found, np.float64)


@contextmanager
def server(bundle: Path, scan: Path, *options: str) -> Iterator[Server]:
    """`medsam-engine serve SCAN`, from before its start until after its end; without work of earlier servers."""
    command = [sys.executable, "-m", "medsam_engine", "serve", str(scan), "--bundle", str(bundle), "--port", "0"]
    command += ["--no-browser", "--log-json", "--save-folder", tempfile.mkdtemp(dir=scan.parent), *options]
    began = time.time()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline()
            if not line:
                raise SystemExit("serve: the server ended before it was ready")
            found = re.search(r"MITK: (http://127\.0\.0\.1:\d+)", line)
        running = Server(found[1], began, time.time() - began)
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
