# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One whole process: wall time, processor time, peak memory."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessRun:
    """What one process took, from before its start to after its end."""

    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    """Megabytes (10^6 bytes) of its largest resident set."""


def run_process(command: Sequence[str | Path], environment: Mapping[str, str]) -> ProcessRun:
    """Runs it to its end. RuntimeError with what it said when it fails."""
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=dict(environment),
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            text = said.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(map(str, command))}: status {process.returncode}\n{text}")
    return ProcessRun(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
