# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The npm package's threads in a headless Chromium: in a page that is isolated from others, and in one that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ball_scan import affine, ball, corners
from nifti_builder import save as save_nifti
from selenium.webdriver.support.ui import WebDriverWait
from static_page import BUNDLE, ISOLATED, PACKAGE, NativeStudy, StaticPage, check_saved, served_folder, served_page

from medsam_engine import Engine

PAGE = """<!doctype html>
<script type="module">
  const worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => (window.answer = data);
  worker.onerror = (event) => (window.answer = { error: event.message });
</script>
"""

# What one and what two threads answer, as text, so that every bit counts.
WORKER = """
import { Engine } from "./package/index.js";

const data = Uint8Array.from({ length: 200 * 160 }, (_, i) => (i * 31 + (i >> 7) * 5) & 255);
const image = { data, height: 160, width: 200 };
const answer = async (threads) => {
  const engine = await Engine.fetch("bundle/", { threads });
  const embedding = engine.encode(image);
  const { labels } = engine.segment(embedding, [[20, 30, 120, 110]]);
  return { threads: engine.info.threads, bits: new Uint32Array(embedding.values().buffer).join() + labels.join() };
};
try {
  const [one, two] = [await answer(1), await answer(2)];
  const threads = [one.threads, two.threads], equal = one.bits === two.bits;
  self.postMessage({ isolated: crossOriginIsolated, threads, equal });
} catch (error) {
  self.postMessage({ error: String(error) });
}
"""

Open = Callable[[dict[str, str]], str]


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Open]:
    """Serves the page with headers; returns its address."""
    for needed in (PACKAGE / "medsam_engine_threads.wasm", BUNDLE):
        if not needed.exists():
            pytest.skip(f"there is no {needed}: make wasm")
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "worker.js").write_text(WORKER)
    (tmp_path / "package").symlink_to(PACKAGE)
    (tmp_path / "bundle").symlink_to(BUNDLE)
    with ExitStack() as opened:
        yield lambda headers: opened.enter_context(served_folder(tmp_path, headers)).address


@pytest.mark.parametrize(("headers", "isolated", "threads"), [(ISOLATED, True, [1, 2]), ({}, False, [1, 1])])
def test_an_isolated_page_has_threads_and_others_have_one(
    chromium: Any, open_site: Open, headers: dict[str, str], isolated: bool, threads: list[int]
) -> None:
    chromium.get(open_site(headers))
    WebDriverWait(chromium, 180).until(lambda _: chromium.execute_script("return window.answer !== undefined"))
    answer = chromium.execute_script("return window.answer")
    assert answer == {"isolated": isolated, "threads": threads, "equal": True}


def test_the_viewer_has_threads_where_it_is_isolated(native: Engine, chromium: Any, tmp_path: Path) -> None:
    """Its content security policy lets the workers start, and the masks are the native engine's."""
    scan = save_nifti(tmp_path / "scan.nii.gz", ball().transpose(), affine("LPS"))
    with served_page(tmp_path, headers=ISOLATED) as site:
        page = StaticPage(chromium, site.address)
        page.open(scan)
        page.slice(0, 2)
        page.after(lambda: page.drag(0, *corners()))
        study = NativeStudy(native, scan)
        study.draw(page.sent())
        check_saved(page, study, tmp_path, chromium.downloads)
        assert page.errors() == []
        assert any(path.endswith("medsam_engine_threads.wasm") for path in site.asked)
        assert not any(path.endswith("medsam_engine.wasm") for path in site.asked)
