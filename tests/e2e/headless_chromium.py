# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A browser for programs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

_RENDERER = """
const gl = document.createElement("canvas").getContext("webgl");
const info = gl?.getExtension("WEBGL_debug_renderer_info");
return gl ? gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER) : "none";
"""


def open_chromium(downloads: Path) -> Any | None:
    """A headless Chromium that saves to a folder; None where Chromium or its driver is missing."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        return None
    options = Options()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    made.downloads = downloads
    return made


def renderer(chromium: Any) -> str:
    """Which browser draws, and with what."""
    version = chromium.capabilities["browserVersion"]
    return f"headless Chromium {version}, 2D canvases; its WebGL would be {chromium.execute_script(_RENDERER)}"
