# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Servers as a user starts them, and a headless Chromium on their page.

Most tests share one server: a start takes seconds, and a test's studies are emptied and closed behind it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

pytest.importorskip("selenium", reason="no selenium; run `make e2e`")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from headless_chromium import open_chromium  # noqa: E402
from page_driver import ask  # noqa: E402
from static_page import BUNDLE, Site, served_page  # noqa: E402

from medsam_engine import Engine  # noqa: E402

Serve = Callable[..., str]
Upload = Callable[..., list[str]]


@pytest.fixture(scope="session")
def bundle() -> Path:
    path = ROOT / "build" / "bundles" / "litemedsam"
    if not (path / "manifest.json").is_file():
        pytest.skip("no bundle at build/bundles/litemedsam; run `make bundle`")
    return path


@pytest.fixture
def serve(bundle: Path, tmp_path: Path) -> Iterator[Serve]:
    """Starts `medsam-engine serve` on scans; returns its address. `serve.kill()` ends the last one with SIGKILL."""
    with _servers(bundle, tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def address(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the server that tests share."""
    with _servers(bundle, tmp_path_factory.mktemp("shared")) as start:
        yield start()


@pytest.fixture
def upload(address: str) -> Iterator[Upload]:
    """Opens scans on the shared server, for one test; returns the ids of their studies."""
    with _studies(address) as open_scans:
        yield open_scans


@pytest.fixture(scope="module")
def upload_all(address: str) -> Iterator[Upload]:
    """As `upload`, for all tests of a module."""
    with _studies(address) as open_scans:
        yield open_scans


@contextmanager
def _studies(address: str) -> Iterator[Upload]:
    before = _open_studies(address)

    def open_scans(*scans: Path) -> list[str]:
        return [_upload(address, scan) for scan in scans]

    yield open_scans
    for study in _open_studies(address):
        if study not in before:
            ask(f"{address}/api/studies/{study}/reset", "POST")
            ask(f"{address}/api/studies/{study}", "DELETE")


def _open_studies(address: str) -> list[str]:
    return [study["id"] for study in ask(f"{address}/api/state")["studies"]]


def _upload(address: str, scan: Path) -> str:
    files = sorted(scan.iterdir()) if scan.is_dir() else [scan]
    upload = ask(f"{address}/api/uploads", "POST", json.dumps({"name": scan.name, "files": len(files)}).encode())
    base = f"{address}/api/uploads/{upload['upload']}"
    for number, file in enumerate(files):
        ask(f"{base}/files/{number}?name={file.name}", "PUT", file.read_bytes())
    return str(ask(f"{base}/open", "POST")["study"])


@contextmanager
def _servers(bundle: Path, folder: Path) -> Iterator[Serve]:
    running: list[subprocess.Popen[str]] = []
    readers: list[threading.Thread] = []

    def start(*scans: Path) -> str:
        command = [sys.executable, "-m", "medsam_engine", "serve", *map(str, scans), "--port", "0", "--no-browser"]
        command += ["--no-token", "--bundle", str(bundle), "--save-folder", str(folder / "saved")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
        running.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                readers.append(threading.Thread(target=_read_to_the_end, args=(process.stderr,), daemon=True))
                readers[-1].start()
                return found.group()
        pytest.fail("the server has ended before it was ready")

    def kill() -> None:
        running[-1].kill()
        running[-1].wait()

    start.kill = kill  # type: ignore[attr-defined]
    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=60)
    for reader in readers:
        reader.join()


def _read_to_the_end(log: TextIO) -> None:
    """A server whose log nobody reads waits for room in the pipe, after some thirty tests."""
    with log:
        deque(log, maxlen=0)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The static page that tests share."""
    with served_page(tmp_path_factory.mktemp("static")) as made:
        yield made


@pytest.fixture(scope="session")
def native(site: Site) -> Engine:  # noqa: ARG001 (which skips where there is none)
    """The engine beside which the static page's is held, with the same weights."""
    return Engine(str(BUNDLE))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = open_chromium(tmp_path_factory.mktemp("downloads"))
    if made is None:
        pytest.skip("no chromium or chromedriver; apt-get install chromium chromium-driver")
    yield made
    made.quit()
