# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The static page of wasm/page in a headless Chromium: a picture, a box, and the native engine's mask."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from medsam_engine import Engine

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "build" / "wasm" / "package"
BUNDLE = ROOT / "build" / "bundles" / "litemedsam-native"
CASE = ROOT.parent / "shared" / "data" / "open" / "2DBox_US_busi_1.npz"


class QuietHandler(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for every request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that http.server gives it)
        """Says nothing."""


@pytest.fixture
def site_address(tmp_path: Path) -> Iterator[str]:
    for needed, remedy in ((PACKAGE, "make wasm"), (BUNDLE, "make wasm"), (CASE, "../shared has it")):
        if not needed.exists():
            pytest.skip(f"there is no {needed}: {remedy}")
    site = tmp_path / "site"
    shutil.copytree(ROOT / "wasm" / "page", site)
    (site / "package").symlink_to(PACKAGE)
    (site / "bundle").symlink_to(BUNDLE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_box_on_a_picture_is_the_native_engines_mask(
    chromium: Any, site_address: str, tmp_path: Path, record_property: Any
) -> None:
    with np.load(CASE) as case:
        image, given = case["imgs"], [int(v) for v in case["boxes"][0]]
    Image.fromarray(image).save(tmp_path / "slice.png")
    chromium.get(site_address)
    chromium.find_element(By.ID, "file").send_keys(str(tmp_path / "slice.png"))
    status = chromium.find_element(By.ID, "status")
    WebDriverWait(chromium, 120).until(lambda _: status.text.startswith("Ready"))

    view = chromium.find_element(By.ID, "view")
    rect = chromium.execute_script("return arguments[0].getBoundingClientRect().toJSON()", view)
    scale = rect["width"] / image.shape[1]
    # From the element's center, as selenium counts.
    (x0, y0), (x1, y1) = (
        (int(scale * (x - image.shape[1] / 2)), int(scale * (y - image.shape[0] / 2)))
        for x, y in (given[:2], given[2:])
    )
    drag = ActionChains(chromium).move_to_element_with_offset(view, x0, y0).click_and_hold()
    drag.move_to_element_with_offset(view, x1, y1).release().perform()
    WebDriverWait(chromium, 120).until(lambda _: "pixels" in status.text)

    box = chromium.execute_script("return medsam.box")
    assert np.allclose(box, given, atol=3)
    got = np.array(chromium.execute_script("return Array.from(medsam.labels)")).reshape(image.shape[:2]) != 0
    expected = Engine(str(BUNDLE)).segment(image, [[float(v) for v in box]]) != 0
    dsc = 2 * (got & expected).sum() / (got.sum() + expected.sum())
    times = chromium.execute_script("return medsam.times")
    version = chromium.capabilities["browserVersion"]
    record_property("measured", f"Chromium {version}: DSC {dsc:.6f}, ms {times}")
    chromium.save_screenshot(str(tmp_path / "page.png"))
    assert expected.any()
    assert dsc >= 0.9999


def test_a_mask_is_not_shown_over_a_picture_that_was_opened_meanwhile(
    chromium: Any, site_address: str, tmp_path: Path
) -> None:
    with np.load(CASE) as case:
        image, box = case["imgs"], [int(v) for v in case["boxes"][0]]
    Image.fromarray(image).save(tmp_path / "slice.png")
    Image.fromarray(image[::-1, ::-1].copy()).save(tmp_path / "turned.png")
    chromium.get(site_address)
    file, status = (chromium.find_element(By.ID, name) for name in ("file", "status"))
    file.send_keys(str(tmp_path / "slice.png"))
    WebDriverWait(chromium, 120).until(lambda _: status.text.startswith("Ready"))
    chromium.execute_script(
        "window.answered = false; medsam.answer(arguments[0]).then(() => (window.answered = true))", box
    )
    file.send_keys(str(tmp_path / "turned.png"))
    WebDriverWait(chromium, 120).until(lambda _: chromium.execute_script("return window.answered"))
    assert chromium.execute_script("return medsam.labels") is None
    WebDriverWait(chromium, 120).until(lambda _: status.text.startswith("Ready"))


def test_what_is_no_picture_is_refused(chromium: Any, site_address: str, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    chromium.get(site_address)
    chromium.find_element(By.ID, "file").send_keys(str(tmp_path / "notes.png"))
    status = chromium.find_element(By.ID, "status")
    WebDriverWait(chromium, 60).until(lambda _: "no picture" in status.text)
