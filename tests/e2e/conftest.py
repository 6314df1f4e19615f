# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A server as a user starts it, and a headless Chromium on its page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

selenium = pytest.importorskip("selenium", reason="no selenium; run `make e2e`")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

Serve = Callable[..., str]


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


@pytest.fixture(scope="module")
def serve_all(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """As `serve`, of a server that all tests of a module share."""
    with _servers(bundle, tmp_path_factory.mktemp("shared")) as start:
        yield start


@contextmanager
def _servers(bundle: Path, folder: Path) -> Iterator[Serve]:
    running: list[subprocess.Popen[str]] = []

    def start(*scans: Path) -> str:
        command = [sys.executable, "-m", "medsam_engine", "serve", *map(str, scans), "--port", "0", "--no-browser"]
        command += ["--no-token", "--bundle", str(bundle), "--save-folder", str(folder / "saved")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
        running.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                return found.group()
        pytest.fail("the server has ended before it was ready")

    def kill() -> None:
        running[-1].kill()
        running[-1].wait()

    start.kill = kill  # type: ignore[attr-defined]
    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium or chromedriver; apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = browser
    downloads = tmp_path_factory.mktemp("downloads")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    made.downloads = downloads
    yield made
    made.quit()
