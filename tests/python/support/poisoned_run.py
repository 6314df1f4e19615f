# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine` with images that end the process that reads them, as a fault in a library does; by their names.

- killed*: SIGKILL, as when memory runs out
- fault*: SIGSEGV
- touched*: SIGKILL, after the file was made to look changed
- exits*: the process ends by itself, with status 0
- stuck*: it does not come back
- unfetched*: fetching it from a URL does not come back
- large*: it takes 1 GiB of memory and stays

With the variable PAUSED, segmenting a volume waits for a signal.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from medsam_engine import Engine, io
from medsam_engine.cli import main
from medsam_engine.cohort import staging

_read, _get = io.read, staging._get


def _poisoned(path: Path, **options: Any) -> io.MedicalImage:
    name = Path(path).name
    if name.startswith("touched"):
        os.utime(path, ns=(0, time.time_ns()))
    if name.startswith(("killed", "touched")):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("fault"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("exits"):
        os._exit(0)
    if name.startswith("stuck"):
        threading.Event().wait()
    if name.startswith("large"):
        memory = b"x" * (1 << 30)
        threading.Event().wait()
        del memory
    return _read(path, **options)


def _unfetched(url: str, path: Path) -> None:
    if path.name.startswith("unfetched"):
        threading.Event().wait()
    _get(url, path)


def _paused(*_arguments: object, **_options: object) -> None:
    while True:
        signal.pause()


if os.environ.get("PAUSED"):
    Engine.segment_volume_objects = _paused  # type: ignore[assignment]  # it never returns
staging._get = _unfetched
io.read = _poisoned  # type: ignore[assignment]  # the same arguments
sys.argv = ["medsam-engine", *sys.argv[1:]]
main()
