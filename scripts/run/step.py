# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs one step of the set-up, says how far it is every few seconds, and how long it took.

``step.py LOG TITLE -- COMMAND...``: what the command prints goes to the file LOG and the last line of it that tells of
progress (pip's, apt's, ninja's) to the terminal. When the command fails, so does this program, with the end of the log.
Needs nothing but Python 3.11.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO

SECONDS = 5  # between two lines of progress
LAST_LINES = 30  # of the log, when the command fails
PROGRESS = re.compile(
    r"(?P<ninja>\[\d+/\d+\])|"
    r"(?P<package>(?:Collecting|Downloading|Processing|Installing|Unpacking|Setting up|Building wheel) \S+)"
)


def progress_of(line: str) -> str | None:
    """What of a line of output tells how far the step is; None for other lines."""
    match = PROGRESS.search(line)
    if match is None:
        return None
    if match["ninja"]:
        return f"compiled {match['ninja'][1:-1].replace('/', ' of ')}"
    if line.startswith("Installing collected packages"):
        return "installing"
    verb, _, what = match["package"].rpartition(" ")
    size = re.search(r"\([\d.]+ [kMG]B\)", line)
    return " ".join(filter(None, [verb.lower(), Path(what).name, size[0] if size else ""]))


def read_lines(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    """Hands over each line, then None."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def run(command: list[str], log: Path, title: str) -> int:
    """Runs the command; its exit status."""
    start = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"{title} ...", flush=True)
    lines: queue.Queue[str | None] = queue.Queue()
    last: deque[str] = deque(maxlen=LAST_LINES)
    state, shown = "", start
    line: str | None = ""
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
    ):
        assert process.stdout is not None
        threading.Thread(target=read_lines, args=(process.stdout, lines), daemon=True).start()
        while line is not None:
            try:
                line = lines.get(timeout=SECONDS)
            except queue.Empty:
                line = ""
            if line:
                file.write(line)
                last.append(line)
                state = progress_of(line) or state
            if time.monotonic() - shown >= SECONDS:
                shown = time.monotonic()
                print(f"  {shown - start:4.0f} s  {state}".rstrip(), flush=True)
        status = process.wait()
    took = time.monotonic() - start
    if status != 0:
        sys.stderr.write("".join(last))
        sys.stderr.write(f"{title}: failed after {took:.0f} s with status {status}; all of its output is in {log}\n")
    else:
        print(f"{title}: {took:.0f} s", flush=True)
    return status


def main() -> int:
    """The command line."""
    if len(sys.argv) < 5 or sys.argv[3] != "--":
        sys.exit("usage: step.py LOG TITLE -- COMMAND...")
    return run(sys.argv[4:], Path(sys.argv[1]), sys.argv[2])


if __name__ == "__main__":
    sys.exit(main())
